// Lets Postgres write the JSON of every row that lite reads or writes for a request, and puts values in for markers.
import { parseRow } from "./exact_json.mjs";

// lite's query builder writes lower case; its own catalog and count statements are upper case and stay as they are.
const READS = /^(?:select|with) /;
const WRITES_WITH_ROWS = /^(?:insert|update|delete) .* returning /s;

// lite names arguments without quotes, which a reserved word such as limit needs; values are never in the text.
const ARGUMENT_NAME = /([(,]\s*)([a-z_][a-z0-9_]*) := /g;

const JSON_ONLY = "row_to_json(row_)::text as json";
const JSON_AND_CSV = `${JSON_ONLY}, substr(row_::text, 2, length(row_::text) - 2) as csv`;

/** The reserved connection with its statements repaired for `request`. */
export function withRepairs(connection, request) {
    return {
        release: () => connection.release(),
        unsafe: async (text, parameters = []) => {
            const statement = request.markers.resolve(text.replace(ARGUMENT_NAME, '$1"$2" := '), parameters);
            const columns = request.wantsCsv ? JSON_AND_CSV : JSON_ONLY;
            if (READS.test(text)) statement.text = `select ${columns} from (${statement.text}) as row_`;
            else if (WRITES_WITH_ROWS.test(text)) statement.text = `with row_ as (${statement.text}) select ${columns} from row_`;
            else return connection.unsafe(statement.text, statement.parameters);
            return parsedRows(await connection.unsafe(statement.text, statement.parameters), request);
        },
    };
}

function parsedRows(written, request) {
    const parsed = Array.from(written, (row) => parseRow(row.json));
    if (request.wantsCsv) {
        request.csv = { columns: Object.keys(parsed[0] ?? {}), lines: Array.from(written, (row) => row.csv) };
    }
    return Object.assign(parsed, { command: "SELECT", count: parsed.length });
}
