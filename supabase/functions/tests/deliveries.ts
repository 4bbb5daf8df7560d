import type { Network } from "../_shared/connect.ts";
import type { Delivery, Outbox, Report } from "../_shared/outbox.ts";

export const NOW = Date.parse("2026-11-21T03:00:00.700Z");
export const SECRET = `whsec_${btoa("0123456789abcdef0123456789abcdef")}`;
// Korean, a space and a key order that only a byte-for-byte copy keeps.
export const BODY = '{"type": "trend.detected", "data": {"keyword": "먹방", "b": 1, "a": 2}}';
/** An address that the guard takes for one of the internet; the networks below never call it. */
export const PUBLIC = "93.184.215.14";

export function delivery(number: number, changes: Partial<Delivery> = {}): Delivery {
  return {
    delivery_id: `00000000-0000-0000-0000-${String(number).padStart(12, "0")}`,
    webhook_id: `msg_${number}`,
    attempt: 1,
    url: `https://receiver.test/${number}`,
    secrets: [SECRET],
    body: BODY,
    allow_private: false,
    ...changes,
  };
}

export class FakeOutbox implements Outbox {
  readonly claims: [string[], number, number][] = [];
  readonly batches: Report[][] = [];

  constructor(readonly due: Delivery[][]) {}

  claim(...what: [string[], number, number]): Promise<Delivery[]> {
    this.claims.push(what);
    return Promise.resolve(this.due.shift() ?? []);
  }

  record(reports: Report[]): Promise<void> {
    this.batches.push(reports);
    return Promise.resolve();
  }

  /** What was recorded of each attempt, by the number of its delivery, without how long it took. */
  get records(): Record<number, Omit<Report, "delivery_id" | "attempt" | "duration_ms">> {
    return Object.fromEntries(
      this.batches.flat().map(({ delivery_id, status, error, retry_after_seconds }) => [
        Number(delivery_id.slice(-12)),
        { status, error, retry_after_seconds },
      ]),
    );
  }
}

export interface Served {
  port: number;
  /** The same as an URL of loopback. */
  url: string;
  /** How many connections were taken. */
  connections: number;
}

/** A server of bare TCP while `use` runs; `answer` gets each connection after the first bytes of its request. */
export async function served(
  answer: (connection: Deno.Conn, request: string) => Promise<void> | void,
  use: (server: Served) => Promise<void>,
): Promise<void> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const server: Served = { port, url: `http://127.0.0.1:${port}`, connections: 0 };
  const talk = async (connection: Deno.Conn) => {
    const buffer = new Uint8Array(65_536);
    try {
      const size = await connection.read(buffer) ?? 0;
      await answer(connection, new TextDecoder().decode(buffer.subarray(0, size)));
    } catch {
      // The other side went away.
    }
    try {
      connection.close();
    } catch {
      // The answer has closed it.
    }
  };
  const talks: Promise<void>[] = [];
  const accepting = (async () => {
    for await (const connection of listener) {
      server.connections += 1;
      talks.push(talk(connection));
    }
  })();
  try {
    await use(server);
  } finally {
    listener.close();
    await accepting;
    await Promise.all(talks);
  }
}

/** A receiver that answers request after request over one connection, while `use` runs. */
export async function received(
  use: (server: {
    port: number;
    url: string;
    requests(): number;
    connections(): number;
    /** Returns when no connection is open any more. */
    ended(): Promise<void>;
  }) => Promise<void>,
  answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
): Promise<void> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const seen = { requests: 0, connections: 0 };
  const talk = async (connection: Deno.Conn) => {
    const buffer = new Uint8Array(65_536);
    while (await connection.read(buffer).catch(() => null) !== null) {
      seen.requests += 1;
      await say(connection, answer);
    }
    connection.close();
  };
  const talks: Promise<void>[] = [];
  const accepting = (async () => {
    for await (const connection of listener) {
      seen.connections += 1;
      talks.push(talk(connection));
    }
  })();
  const ended = async () => void await Promise.all(talks);
  const told = { requests: () => seen.requests, connections: () => seen.connections, ended };
  try {
    await use({ port, url: `http://127.0.0.1:${port}`, ...told });
  } finally {
    listener.close();
    await accepting;
    await ended();
  }
}

export async function say(connection: Deno.Conn, text: string): Promise<void> {
  await connection.write(new TextEncoder().encode(text));
}

/** A network where every name leads to PUBLIC and PUBLIC is the server at `port`, without TLS. */
export function pretended(port: number, changes: Partial<Network> = {}): Network {
  return {
    resolve: (_host, type) => type === "A" ? Promise.resolve([PUBLIC]) : Promise.reject(new Error("no such record")),
    connect: () => Deno.connect({ hostname: "127.0.0.1", port }),
    secure: (connection) => Promise.resolve(connection),
    ...changes,
  };
}
