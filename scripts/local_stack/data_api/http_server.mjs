// node:http in front of functions that take {method, url, headers, body} and give a fetch Response.
import { createServer } from "node:http";

const MOST_BYTES = 100 * 1024 * 1024;

/** Listen on 127.0.0.1:`port`; resolves to the server, rejects when the port is taken. */
export function listen(port, answer) {
    const server = createServer(async (incoming, outgoing) => {
        try {
            await send(outgoing, await answer(await received(incoming)));
        } catch (error) {
            console.error(error);
            if (outgoing.headersSent) outgoing.destroy();
            else outgoing.writeHead(500, { "content-type": "application/json" }).end(internalError());
        }
    });
    server.keepAliveTimeout = 75_000;
    return new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen(port, "127.0.0.1", () => resolve(server));
    });
}

async function received(incoming) {
    const chunks = [];
    let size = 0;
    for await (const chunk of incoming) {
        size += chunk.length;
        if (size > MOST_BYTES) throw new Error("the request body is larger than 100 MiB");
        chunks.push(chunk);
    }
    const headers = new Headers();
    for (const [name, value] of Object.entries(incoming.headers)) {
        headers.set(name, Array.isArray(value) ? value.join(", ") : value);
    }
    for (const name of ["connection", "keep-alive", "transfer-encoding", "content-length", "expect", "upgrade"]) {
        headers.delete(name);
    }
    const url = new URL(incoming.url, `http://${incoming.headers.host ?? "127.0.0.1"}`);
    return { method: incoming.method, url, headers, body: Buffer.concat(chunks) };
}

async function send(outgoing, response) {
    const body = response.body === null ? null : Buffer.from(await response.arrayBuffer());
    const headers = Object.fromEntries(response.headers);
    if (response.headers.getSetCookie().length > 0) headers["set-cookie"] = response.headers.getSetCookie();
    if (body) headers["content-length"] = String(body.length);
    outgoing.writeHead(response.status, headers);
    outgoing.end(body ?? undefined);
}

function internalError() {
    const message = "Internal error of the local Data API";
    return JSON.stringify({ code: "PGRSTX00", message, details: null, hint: "Read the data-api log." });
}
