// Three ways into the database, as on a hosted project: requests, Auth, and reading the catalog.
import { connect } from "node:net";

import postgres from "postgres";

const sameText = { serialize: String, parse: (text) => text };
const isoTime = { serialize: String, parse: (text) => `${text.replace(" ", "T").replace(/\+00$/, "")}Z` };
const json = {
    serialize: (value) => (typeof value === "string" ? value : JSON.stringify(value)),
    parse: JSON.parse,
};

function safeNumber(text) {
    return Number.isSafeInteger(Number(text)) ? Number(text) : text;
}

/** How parameters and columns travel: text stays text, whatever type the server expects. */
const TYPES = {
    bigint: { to: 20, from: [20], serialize: String, parse: safeNumber },
    json: { to: 114, from: [114], ...json },
    jsonb: { to: 3802, from: [3802], ...json },
    boolean: { to: 16, from: [16], serialize: String, parse: (text) => text === "t" },
    bytea: { to: 17, from: [17], ...sameText },
    numeric: { to: 1700, from: [1700], ...sameText },
    date: { to: 1082, from: [1082], ...sameText },
    time: { to: 1083, from: [1083], ...sameText },
    timetz: { to: 1266, from: [1266], ...sameText },
};

/** Without delay: the driver writes small pieces, and Nagle's algorithm would hold each back for 40 ms. */
export function promptSocket({ host, port }) {
    return new Promise((resolve, reject) => {
        const socket = connect({ host: host[0], port: port[0], noDelay: true });
        socket.once("error", reject);
        socket.once("connect", () => {
            socket.off("error", reject);
            resolve(socket);
        });
    });
}

const COMMON = { onnotice: () => {}, socket: promptSocket };

/** Options for lite's own connection, which serves the requests as `authenticator`. */
export const REQUEST_OPTIONS = {
    max: 10,
    ...COMMON,
    connection: { application_name: "ondol data-api", search_path: "pg_catalog" },
    types: {
        ...TYPES,
        timestamp: { to: 1114, from: [1114], ...sameText },
        timestamptz: { to: 1184, from: [1184], ...sameText },
    },
};

/** Auth's connections: clients want ISO 8601 with a zone. */
export function authPool(url) {
    return postgres(url, {
        max: 5,
        ...COMMON,
        connection: { application_name: "ondol auth", TimeZone: "UTC", search_path: "auth" },
        types: {
            ...TYPES,
            timestamp: { to: 1114, from: [1114], ...isoTime },
            timestamptz: { to: 1184, from: [1184], ...isoTime },
        },
    });
}

/** For the catalog: the request role sees too little of information_schema. */
export function catalogPool(url) {
    return postgres(url, {
        max: 3,
        ...COMMON,
        connection: { application_name: "ondol data-api catalog", TimeZone: "UTC", search_path: "pg_catalog" },
        types: TYPES,
    });
}
