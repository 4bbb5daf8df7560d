import { Unreachable } from "./connect.ts";

/** What an answer says before its body. */
export interface Head {
  status: number;
  headers: Headers;
}

/** The most, in bytes, that an answer's head may have. */
export const MOST = 16_384;

const LINE = /^HTTP\/1\.[01] ([1-5]\d\d)(?: |$)/;
const encoder = new TextEncoder();
const decoder = new TextDecoder("latin1");

/** Sends one POST of HTTP/1.1 and reads the head of its answer; the body is nobody's business. */
export async function exchange(
  connection: Deno.Conn,
  url: URL,
  headers: Record<string, string>,
  body: string,
): Promise<Head> {
  const content = encoder.encode(body);
  const lines = [
    `POST ${url.pathname}${url.search} HTTP/1.1`,
    `host: ${url.host}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    `content-length: ${content.byteLength}`,
    "connection: close",
  ];
  try {
    await write(connection, encoder.encode(`${lines.join("\r\n")}\r\n\r\n`), content);
    return await readHead(connection);
  } catch (error) {
    if (error instanceof Unreachable) throw error;
    throw new Unreachable("The connection broke before there was an answer.");
  }
}

async function write(connection: Deno.Conn, ...parts: Uint8Array[]): Promise<void> {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.byteLength, 0));
  parts.reduce((offset, part) => (whole.set(part, offset), offset + part.byteLength), 0);
  for (let sent = 0; sent < whole.byteLength;) sent += await connection.write(whole.subarray(sent));
}

async function readHead(connection: Deno.Conn): Promise<Head> {
  const buffer = new Uint8Array(MOST);
  let size = 0;
  let start = 0;
  for (;;) {
    const read = size < MOST ? await connection.read(buffer.subarray(size)) : 0;
    if (read === 0) throw new Unreachable("The head of the answer is too long.");
    if (read === null) throw new Unreachable("The connection broke before there was an answer.");
    size += read;
    for (;;) {
      const text = decoder.decode(buffer.subarray(start, size));
      const end = text.indexOf("\r\n\r\n");
      if (end < 0) break;
      const head = parse(text.slice(0, end));
      // 100 and 103 come before the answer.
      if (head.status >= 200) return head;
      start += end + 4;
    }
  }
}

function parse(text: string): Head {
  const [first, ...lines] = text.split("\r\n");
  const status = LINE.exec(first)?.[1];
  if (!status) throw new Unreachable("The answer is no HTTP.");
  const headers = new Headers();
  for (const line of lines) {
    const colon = line.indexOf(":");
    try {
      headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
    } catch {
      // A header that nobody could have meant is no reason to send a webhook twice.
    }
  }
  return { status: Number(status), headers };
}
