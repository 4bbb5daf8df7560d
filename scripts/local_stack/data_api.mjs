// The Data API and Auth of the local stack: `node data_api.mjs STACK_JSON`.
import { App } from "@supabase/lite";

import { readConfiguration } from "./data_api/configuration.mjs";
import { DataApiConnection } from "./data_api/connection.mjs";
import { listen } from "./data_api/http_server.mjs";
import { answerRest } from "./data_api/rest.mjs";

const GATHER_NOTICES_MS = 50;
const RETRY_RELOAD_MS = 500;
const END_WITHIN_MS = 500;

process.env.TZ = "UTC"; // lite reads auth's zoneless timestamps as local time

const configuration = readConfiguration(process.argv[2]);
const connection = new DataApiConnection(configuration);
const app = new App({
    connection,
    ...configuration.lite,
    options: { server: { apiKeys: false, disableStudio: true, disableFallback: true } },
});

async function answer(request) {
    const { pathname } = request.url;
    if (pathname === "/health") return health();
    if (pathname.startsWith("/rest/v1/")) return answerRest(app, request);
    const { method, url, headers, body } = request;
    return app.fetch(new Request(url, { method, headers, body: body.length > 0 ? body : undefined }));
}

async function health() {
    try {
        await connection.check();
        return Response.json({ status: "ok" });
    } catch (error) {
        return Response.json({ status: "database does not answer", reason: error.message }, { status: 503 });
    }
}

/** Reload soon after a notice; many notices at once make one reload, one during a reload makes another. */
function reloader() {
    let timer = null;
    let running = Promise.resolve();
    const soon = (milliseconds) => {
        clearTimeout(timer);
        timer = setTimeout(() => {
            running = running
                .then(() => connection.reload())
                .catch((error) => {
                    console.error(`Schema not reloaded, trying again: ${error.message}`);
                    soon(RETRY_RELOAD_MS);
                });
        }, milliseconds);
    };
    return () => soon(GATHER_NOTICES_MS);
}

async function main() {
    await connection.reload();
    connection.listen(reloader());
    const server = await listen(configuration.port, answer);
    console.log(`Data API and Auth listen on http://127.0.0.1:${configuration.port}`);
    for (const signal of ["SIGTERM", "SIGINT"]) {
        process.once(signal, async () => {
            server.close();
            server.closeAllConnections();
            setTimeout(() => process.exit(0), END_WITHIN_MS);
            await connection.close();
            process.exit(0);
        });
    }
}

process.on("unhandledRejection", (error) => console.error(error));

try {
    await main();
} catch (error) {
    console.error(
        error.code === "EADDRINUSE"
            ? `Port ${configuration.port} of the Data API is taken: stop what listens there, or choose another stack.`
            : `The Data API could not start: ${error.message}`,
    );
    process.exit(1);
}
