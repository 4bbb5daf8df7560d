// What lite needs to know, taken from supabase/config.toml and stack.json: lite itself refuses the CLI's config.toml.
import { readFileSync } from "node:fs";
import { join } from "node:path";

const STRING = /^"((?:[^"\\]|\\.)*)"|^'([^']*)'/;

/** Read the part of TOML that supabase/config.toml uses: tables, strings, numbers, booleans and arrays of them. */
export function parseToml(text) {
    const root = {};
    let table = root;
    const lines = text.split(/\r?\n/);
    for (let index = 0; index < lines.length; index += 1) {
        let line = withoutComment(lines[index]).trim();
        if (line === "") continue;
        if (line.startsWith("[")) {
            table = openTable(root, line);
            continue;
        }
        const equals = line.indexOf("=");
        if (equals < 0) throw new Error(`config.toml line ${index + 1}: expected name = value`);
        let value = line.slice(equals + 1).trim();
        while (value.startsWith("[") && !value.endsWith("]") && index + 1 < lines.length) {
            index += 1;
            value += ` ${withoutComment(lines[index]).trim()}`;
        }
        table[unquoted(line.slice(0, equals).trim())] = parseValue(value, index + 1);
    }
    return root;
}

function openTable(root, header) {
    const isList = header.startsWith("[[");
    const names = header.replace(/^\[+|\]+$/g, "").split(".").map((name) => unquoted(name.trim()));
    let table = root;
    for (const [depth, name] of names.entries()) {
        if (isList && depth === names.length - 1) {
            table[name] ??= [];
            table[name].push({});
            return table[name].at(-1);
        }
        table[name] ??= {};
        table = table[name];
    }
    return table;
}

function withoutComment(line) {
    let quote = null;
    for (let index = 0; index < line.length; index += 1) {
        const character = line[index];
        if (quote === '"' && character === "\\") index += 1;
        else if (quote) quote = character === quote ? null : quote;
        else if (character === '"' || character === "'") quote = character;
        else if (character === "#") return line.slice(0, index);
    }
    return line;
}

function unquoted(name) {
    return /^(["']).*\1$/.test(name) ? name.slice(1, -1) : name;
}

function parseValue(text, line) {
    const string = STRING.exec(text);
    if (string) {
        const value = string[1] === undefined ? string[2] : JSON.parse(`"${string[1]}"`);
        const variable = /^env\((\w+)\)$/.exec(value);
        return variable ? process.env[variable[1]] : value;
    }
    if (text.startsWith("[")) return parseArray(text, line);
    if (text === "true" || text === "false") return text === "true";
    const number = Number(text.replaceAll("_", ""));
    if (Number.isNaN(number)) throw new Error(`config.toml line ${line}: cannot read ${text}`);
    return number;
}

function parseArray(text, line) {
    const values = [];
    let rest = text.slice(1, -1).trim();
    while (rest !== "") {
        const length = STRING.exec(rest)?.[0].length ?? (rest.indexOf(",") < 0 ? rest.length : rest.indexOf(","));
        values.push(parseValue(rest.slice(0, length).trim(), line));
        rest = rest.slice(length).trim().replace(/^,/, "").trim();
    }
    return values;
}

/** The stack as the supervisor described it, and the settings of this part. */
export function readConfiguration(stackFile) {
    const stack = JSON.parse(readFileSync(stackFile, "utf8"));
    const toml = parseToml(readFileSync(join(stack.repository, "supabase", "config.toml"), "utf8"));
    const api = toml.api ?? {};
    const auth = toml.auth ?? {};
    const schemas = api.schemas?.length ? api.schemas : ["public"];
    return {
        port: stack.ports.data_api,
        databaseUrl: (role) => stack.database_url.replace(/\/\/[^:]+:/, `//${role}:`),
        schemas,
        extraSearchPath: api.extra_search_path ?? ["public", "extensions"],
        lite: {
            project_id: toml.project_id,
            api: {
                enabled: true,
                schemas,
                max_rows: api.max_rows ?? 1000,
                pg_safe_update: true, // as hosted projects load safeupdate for requests
                external_url: stack.api_url,
            },
            auth: {
                enabled: true,
                jwt_secret: stack.keys.jwt_secret,
                ...picked(auth, [
                    "site_url",
                    "additional_redirect_urls",
                    "jwt_expiry",
                    "enable_signup",
                    "enable_refresh_token_rotation",
                    "refresh_token_reuse_interval",
                    "minimum_password_length",
                    "password_requirements",
                ]),
                email: picked(auth.email ?? {}, [
                    "enable_signup",
                    "enable_confirmations",
                    "double_confirm_changes",
                    "secure_password_change",
                    "otp_length",
                    "otp_expiry",
                ]),
                sessions: picked(auth.sessions ?? {}, ["timebox", "inactivity_timeout"]),
            },
            db: { migrations: { enabled: false } },
            storage: { enabled: false },
            studio: { enabled: false },
        },
    };
}

function picked(source, names) {
    return Object.fromEntries(names.filter((name) => source[name] !== undefined).map((name) => [name, source[name]]));
}
