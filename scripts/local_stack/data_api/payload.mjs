// Postgres itself reads the request's body, as PostgREST has it do: numbers, nulls, json, arrays and composites stay exact.
import { quoted } from "./markers.mjs";
import { RequestError } from "./errors.mjs";

/** Replace the values of a parsed write or call by markers that point into the body. */
export function bindBody(ast, request, catalog) {
    if (ast.type === "insert" || ast.type === "upsert") bindRows(ast, request, catalog);
    else if (ast.type === "update") bindChanges(ast, request, catalog);
    else if (ast.type === "rpc" && ast.httpMethod === "POST") bindArguments(ast, request, catalog);
}

function bindRows(ast, request, catalog) {
    const rows = Array.isArray(ast.values) ? ast.values : [ast.values];
    if (rows.length === 0 || !rows.every(isObject)) return;
    const names = columnsOf(ast, rows);
    const columns = catalog.columns(ast.schema, ast.from);
    if (names.length === 0 || !names.every((name) => columns?.has(name))) return;
    if (ast.$meta?.cardinality === "one" && rows.length > 1) {
        const message = "Cannot coerce the result to a single JSON object";
        throw new RequestError(406, "PGRST116", message, `The result contains ${rows.length} rows`);
    }
    const body = rowsBody(ast, request, names.map((name) => ({ name, ...columns.get(name) })));
    const marked = Object.fromEntries(names.map((name) => [name, request.markers.column(name, body)]));
    ast.values = Array.isArray(ast.values) ? [marked] : marked;
}

function columnsOf(ast, rows) {
    if (ast.$meta?.columns) return [...new Set(ast.$meta.columns)];
    const first = Object.keys(rows[0]);
    const same = rows.every(
        (row) => Object.keys(row).length === first.length && first.every((key) => Object.hasOwn(row, key)),
    );
    if (!same) throw new RequestError(400, "PGRST102", "All object keys must match");
    return first;
}

function rowsBody(ast, request, columns) {
    const isList = Array.isArray(ast.values);
    const defaults = ast.$meta?.missing === "default" ? columns.filter((column) => column.default !== null) : [];
    const reader = isList ? "recordset" : "record";
    if (defaults.length === 0) {
        return body(ast.values, request, (place) => `json_to_${reader}(${place}::json)${recordOf(columns)}`);
    }
    const pairs = defaults.map(({ name, default: value }) => `${literal(name)}, ${value}`);
    const filled = `jsonb_build_object(${pairs.join(", ")})`;
    return body(ast.values, request, (place) => {
        const rows = isList
            ? `(select jsonb_agg(${filled} || item) from jsonb_array_elements(${place}::jsonb) as item)`
            : `(${filled} || ${place}::jsonb)`;
        return `jsonb_to_${reader}(${rows})${recordOf(columns)}`;
    });
}

function bindChanges(ast, request, catalog) {
    const changes = Array.isArray(ast.values) ? ast.values[0] : ast.values;
    const columns = catalog.columns(ast.schema, ast.from);
    if (!isObject(changes)) return;
    const names = ast.$meta?.columns ?? Object.keys(changes);
    if (names.length === 0 || !names.every((name) => columns?.has(name))) return;
    const record = recordOf(names.map((name) => ({ name, ...columns.get(name) })));
    const item = Array.isArray(ast.values) ? "::json -> 0" : "::json";
    const source = body(ast.values, request, (place) => `json_to_record(${place}${item})${record}`);
    ast.values = Object.fromEntries(names.map((name) => [name, request.markers.column(name, source)]));
}

function bindArguments(ast, request, catalog) {
    if (ast.inputType !== "json" || typeof ast.args !== "object") return;
    const names = isObject(ast.args) ? Object.keys(ast.args) : [];
    const types = catalog.argumentTypes(ast.schema, ast.function, names);
    if (names.length === 0 || !types) {
        // A function of one unnamed json argument gets the whole body: lite prints it for that.
        const { text } = body(ast.args, request);
        Object.defineProperty(ast.args, "toJSON", { value: () => request.markers.text(text) });
        return;
    }
    const record = recordOf(names.map((name) => ({ name, type: types.get(name) })));
    const source = body(ast.args, request, (place) => `json_to_record(${place}::json)${record}`);
    ast.args = Object.fromEntries(names.map((name) => [name, request.markers.column(name, source)]));
}

function body(values, request, source) {
    return { text: request.isJson ? request.body : JSON.stringify(values), source };
}

function recordOf(columns) {
    return ` as body_(${columns.map(({ name, type }) => `${quoted(name)} ${type}`).join(", ")})`;
}

function literal(text) {
    return `'${text.replaceAll("'", "''")}'`;
}

function isObject(value) {
    return value !== null && typeof value === "object" && !Array.isArray(value);
}
