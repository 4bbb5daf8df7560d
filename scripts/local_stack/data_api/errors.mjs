// Which HTTP status PostgREST gives a Postgres error, from its documented table; the body always has all four fields.

const BY_CODE = {
    23503: 409,
    23505: 409,
    25006: 405,
    53400: 500,
    "57P01": 503,
    P0001: 400,
    42883: 404,
    "42P01": 404,
    "42P17": 500,
};
const BY_CLASS = {
    "08": 503,
    "09": 500,
    "0L": 403,
    "0P": 403,
    25: 500,
    28: 403,
    "2D": 500,
    38: 500,
    39: 500,
    "3B": 500,
    40: 500,
    53: 503,
    54: 500,
    55: 500,
    57: 500,
    58: 500,
    F0: 500,
    HV: 500,
    P0: 500,
    XX: 500,
};
const LOST_CONNECTION = new Set([
    "CONNECTION_CLOSED",
    "CONNECTION_DESTROYED",
    "CONNECTION_ENDED",
    "CONNECT_TIMEOUT",
    "ECONNREFUSED",
    "ECONNRESET",
    "EPIPE",
]);
const SQLSTATE = /^[0-9A-Z]{5}$/;

/** A refusal in PostgREST's own words. */
export class RequestError extends Error {
    constructor(status, code, message, details = null, hint = null) {
        super(message);
        Object.assign(this, { status, code, details, hint });
    }
}

/** The status of one SQLSTATE for a request made as `role`. */
export function statusOf(code, message, role) {
    if (code === "42501") return role === "anon" ? 401 : 403;
    if (code === "21000") return message.endsWith("requires a WHERE clause") ? 400 : 500;
    if (code === "22023" && /^role .* does not exist$/.test(message)) return 401;
    const own = /^PT([1-5]\d\d)$/.exec(code);
    if (own) return Number(own[1]);
    if (code.startsWith("PT")) return 500;
    return BY_CODE[code] ?? BY_CLASS[code.slice(0, 2)] ?? 400;
}

/**
 * Rewrite a database error into the one form that lite passes through untouched.
 * Errors that are not the database's are returned as they are, for lite to word.
 */
export function asPassedThrough(error, { role, table }) {
    if (error instanceof RequestError) return passedThrough(error.status, error);
    if (LOST_CONNECTION.has(error?.code)) {
        const message = "Database client error. Retrying the connection.";
        return passedThrough(503, { code: "PGRST001", message, details: error.message ?? null, hint: null });
    }
    if (typeof error?.code !== "string" || !SQLSTATE.test(error.code) || error.code === "PGRST") return error;
    const message = qualified(error.message, error.code, table);
    const headers = error.code === "42501" && role === "anon" ? { "WWW-Authenticate": "Bearer" } : {};
    return passedThrough(
        statusOf(error.code, message, role),
        { code: error.code, message, details: error.detail ?? null, hint: error.hint ?? null },
        headers,
    );
}

// PostgREST qualifies every column, so Postgres names the table in its own message.
function qualified(message, code, table) {
    if (code !== "42703" || !table) return message;
    return message.replace(/^column "([^"]+)" does not exist$/, `column ${table}.$1 does not exist`);
}

function passedThrough(status, { code, message, details, hint }, headers = {}) {
    return {
        code: "PGRST",
        message: JSON.stringify({ code, message, details, hint }),
        detail: JSON.stringify({ status, headers }),
    };
}
