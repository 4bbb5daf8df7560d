// lite's Postgres connection with the repairs that make its Data API answer as PostgREST does.
import { PostgresConnection } from "@supabase/lite/postgres";

import { readCatalog } from "./catalog.mjs";
import { settleEmbeds } from "./embeds.mjs";
import { asPassedThrough } from "./errors.mjs";
import { keepListening } from "./listener.mjs";
import { bindBody } from "./payload.mjs";
import { REQUEST_OPTIONS, authPool, catalogPool } from "./pools.mjs";
import { currentWork, runForCatalog } from "./request_context.mjs";
import { readRelationships } from "./relationships.mjs";
import { preRequestCall, requestSettings } from "./request_settings.mjs";
import { withRepairs } from "./statements.mjs";

export class DataApiConnection extends PostgresConnection {
    #configuration;
    #auth;
    #admin;
    #catalog = null;
    #relations = null;
    #stopListening = async () => {};

    constructor(configuration) {
        super({
            url: configuration.databaseUrl("authenticator"),
            postgresOptions: REQUEST_OPTIONS,
            translation: { schemas: { defaultSchema: configuration.schemas[0] } },
        });
        this.#configuration = configuration;
        this.#auth = authPool(configuration.databaseUrl("supabase_auth_admin"));
        this.#admin = catalogPool(configuration.databaseUrl("supabase_admin"));
        const reserveForRequest = this.driver.reserve.bind(this.driver);
        this.driver.reserve = async () => {
            const work = currentWork();
            if (work?.pool === "request") return withRepairs(await reserveForRequest(), work);
            return work?.pool === "catalog" ? this.#admin.reserve() : this.#auth.reserve();
        };
    }

    /** Answer when the database does; throws when it does not. */
    async check() {
        await this.#admin`select 1`;
    }

    /** Call `onNotice` at every NOTIFY pgrst, and whenever listening (re)starts. */
    listen(onNotice) {
        this.#stopListening = keepListening(this.#configuration.databaseUrl("supabase_admin"), "pgrst", onNotice);
    }

    /** Read the catalog again; requests keep the old one until the new one is complete. */
    async reload() {
        const { schemas } = this.#configuration;
        const [catalog, foreignKeys, relations] = await Promise.all([
            readCatalog(this.#admin, schemas),
            readRelationships(this.#admin, schemas),
            runForCatalog(() => super.introspect({ useCache: false })),
        ]);
        if (!relations.functions) throw new Error("the catalog could not be read");
        this.#catalog = catalog;
        this.#relations = { ...exposed(relations, new Set(schemas)), foreign_keys: foreignKeys };
    }

    async introspect() {
        if (!this.#relations) await this.reload();
        return this.#relations;
    }

    async onPostgrestAST(ast) {
        const checked = await super.onPostgrestAST(ast);
        const request = currentWork();
        request.ast = checked;
        settleEmbeds(checked, this.#relations);
        bindBody(checked, request, this.#catalog);
        return checked;
    }

    /** One transaction for one request, set up in one round trip; what is refused is rolled back. */
    async withContext(variables, run, options) {
        const request = currentWork();
        request.role = variables?.auth?.role || "anon";
        request.pool = "request";
        try {
            return await this.kysely.transaction().execute(async (transaction) => {
                const claims = variables?.auth?.jwt ?? { role: request.role };
                await transaction.executeQuery(
                    requestSettings(request, claims, {
                        roleSettings: this.#catalog.roleSettings(request.role),
                        searchPath: this.#configuration.extraSearchPath,
                        defaultSchema: this.#configuration.schemas[0],
                    }),
                );
                const { preRequest } = this.#catalog;
                if (preRequest) await transaction.executeQuery(preRequestCall(preRequest));
                const response = await run(transaction);
                if (options?.forceRollback || (await isRefusal(response))) throw new RolledBack(response);
                return response;
            });
        } catch (error) {
            if (error instanceof RolledBack) return error.response;
            throw error;
        } finally {
            request.pool = null;
        }
    }

    normalizeDbError(error) {
        const request = currentWork();
        return asPassedThrough(error, { role: request?.role ?? "anon", table: request?.ast?.from });
    }

    viewOptionsMetadata(name, schema) {
        return runForCatalog(() => super.viewOptionsMetadata(name, schema));
    }

    async close() {
        await this.#stopListening();
        await Promise.all([this.driver, this.#auth, this.#admin].map((pool) => pool.end({ timeout: 0 })));
    }
}

class RolledBack extends Error {
    constructor(response) {
        super("rolled back");
        this.response = response;
    }
}

// A status that a function sets by response.status is no refusal; lite's own errors carry a PGRST code.
async function isRefusal(response) {
    if (!(response instanceof Response) || response.status < 400) return false;
    const text = await response.clone().text();
    return /"code":"PGRST\w*"/.test(text);
}

// lite would also answer for relations and functions of schemas that are not exposed.
function exposed(relations, schemas) {
    const kept = { ...relations };
    for (const part of ["tables", "views", "columns", "indexes", "functions", "primary_keys", "unique_constraints"]) {
        kept[part] = relations[part].filter(({ schema }) => schemas.has(schema));
    }
    return kept;
}
