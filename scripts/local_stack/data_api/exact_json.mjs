// Carries JSON that a JavaScript value cannot hold (12.50, 2^63-1) unharmed through lite, which parses and prints rows.
const MARK = "\u0091";
const NUMBER = "n";
const STRING = "s";
const TOKEN = /"(?:[^"\\]|\\.)*"(\s*:)?|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
// Strings that lite would take for JSON, and strings that look like our own marks.
const AT_RISK = /^"(?:\s*(?:[-[{\d]|true\s*"|false\s*"|null\s*"|\\")|\u0091)/;
const CARRIED_IN_JSON = /(?<!\\)"\u0091(?:n([^"]*)"|s)/g;

/** Parse one row that Postgres wrote as JSON text, keeping every number's own digits. */
export function parseRow(text) {
    return JSON.parse(
        text.replace(TOKEN, (token, isKey) => {
            if (isKey !== undefined) return token;
            if (token[0] === '"') return AT_RISK.test(token) ? `"${MARK}${STRING}${token.slice(1)}` : token;
            return String(Number(token)) === token ? token : `"${MARK}${NUMBER}${token}"`;
        }),
    );
}

/** Turn the JSON text of an answer back into what Postgres wrote. */
export function restoreJson(text) {
    return text.replace(CARRIED_IN_JSON, (_, number) => number ?? '"');
}

/** Turn a value that lite took from a parsed row (for a filter or a header) back into its own text. */
export function restoreValue(value) {
    return typeof value === "string" && value.startsWith(MARK) ? value.slice(2) : value;
}

export function restoreHeader(value) {
    return value.replaceAll(/\u0091[ns]/g, "");
}
