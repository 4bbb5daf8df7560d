// What PostgREST tells a request's transaction: role, claims, headers, search path, and what `alter role … set` asks for.

/** One statement for kysely that sets up the transaction of `request`. */
export function requestSettings(request, claims, { roleSettings, searchPath, defaultSchema }) {
    const path = [...new Set([request.profile ?? defaultSchema, ...searchPath])];
    const settings = [
        ["search_path", path.map((name) => `"${name.replaceAll('"', '""')}"`).join(", ")],
        ["request.jwt.claims", JSON.stringify(claims)],
        ["request.method", request.method],
        ["request.path", request.path],
        ["request.headers", JSON.stringify(request.headers)],
        ["request.cookies", JSON.stringify(request.cookies)],
        ["response.status", ""],
        ["response.headers", ""],
        ...roleSettings,
        ["role", request.role],
    ];
    if (request.method === "GET" || request.method === "HEAD") settings.push(["transaction_read_only", "on"]);
    const calls = settings.map(([name, value]) => `set_config(${literal(name)}, ${literal(value)}, true)`);
    return statement(`select ${calls.join(", ")}`);
}

/** One statement that calls the function `name`, as PostgREST does after the settings and before the query. */
export function preRequestCall(name) {
    const quoted = name.split(".").map((part) => `"${part.replaceAll('"', '""')}"`);
    return statement(`select ${quoted.join(".")}()`);
}

function statement(text) {
    return {
        sql: `/* request */ ${text}`,
        parameters: [], // no parameters: the simple protocol takes one round trip
        query: { kind: "RawNode", sqlFragments: [], parameters: [] },
    };
}

function literal(text) {
    const quoted = `'${text.replaceAll("'", "''")}'`;
    return text.includes("\\") ? `e${quoted.replaceAll("\\", "\\\\")}` : quoted;
}
