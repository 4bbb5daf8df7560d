import { Unreachable } from "./connect.ts";

/** What an answer says before its body. */
export interface Head {
  status: number;
  headers: Headers;
}

/** The head of an answer, and how many bytes are to come before the connection can serve again; null if it cannot. */
export interface Answer extends Head {
  left: number | null;
}

/** Says that not one byte came back: over a connection that was kept, the other side may have hung up before. */
export class Silent extends Unreachable {}

/** The most, in bytes, that an answer's head may have. */
export const MOST = 16_384;

const LINE = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: |$)/;
const BROKE = "The connection broke before there was an answer.";
const encoder = new TextEncoder();
const decoder = new TextDecoder("latin1");

/**
 * Sends one POST of HTTP/1.1 and reads the head of its answer; what the body says is nobody's business. With `keep` the
 * other side is not asked to hang up.
 */
export async function exchange(
  connection: Deno.Conn,
  url: URL,
  headers: Record<string, string>,
  body: string,
  keep = false,
): Promise<Answer> {
  const content = encoder.encode(body);
  const lines = [
    `POST ${url.pathname}${url.search} HTTP/1.1`,
    `host: ${url.host}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    `content-length: ${content.byteLength}`,
    ...keep ? [] : ["connection: close"],
  ];
  const received = { size: 0 };
  try {
    await write(connection, encoder.encode(`${lines.join("\r\n")}\r\n\r\n`), content);
    const { head, beyond } = await readHead(connection, received);
    return { status: head.status, headers: head.headers, left: keep ? leftOf(head, beyond) : null };
  } catch (error) {
    if (error instanceof Unreachable) throw error;
    throw received.size > 0 ? new Unreachable(BROKE) : new Silent(BROKE);
  }
}

/** How many bytes of the body are still to come; null if that cannot be told, or is too much to wait for. */
function leftOf({ status, headers, version }: Parsed, beyond: number): number | null {
  if (version === "0" || headers.has("transfer-encoding") || headers.has("upgrade")) return null;
  if (/\bclose\b/i.test(headers.get("connection") ?? "")) return null;
  const told = headers.get("content-length");
  const length = status === 204 || status === 304 ? 0 : told !== null && /^\d{1,6}$/.test(told) ? Number(told) : NaN;
  // What comes beyond the body answers nothing that was asked.
  return length >= beyond && length <= MOST ? length - beyond : null;
}

/** `version` is the part after "HTTP/1.". */
interface Parsed extends Head {
  version: string;
}

async function write(connection: Deno.Conn, ...parts: Uint8Array[]): Promise<void> {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.byteLength, 0));
  parts.reduce((offset, part) => (whole.set(part, offset), offset + part.byteLength), 0);
  for (let sent = 0; sent < whole.byteLength;) sent += await connection.write(whole.subarray(sent));
}

async function readHead(
  connection: Deno.Conn,
  received: { size: number },
): Promise<{ head: Parsed; beyond: number }> {
  const buffer = new Uint8Array(MOST);
  let size = 0;
  let start = 0;
  for (;;) {
    const read = size < MOST ? await connection.read(buffer.subarray(size)) : 0;
    if (read === 0) throw new Unreachable("The head of the answer is too long.");
    if (read === null) throw size > 0 ? new Unreachable(BROKE) : new Silent(BROKE);
    received.size = size += read;
    for (;;) {
      const text = decoder.decode(buffer.subarray(start, size));
      const end = text.indexOf("\r\n\r\n");
      if (end < 0) break;
      const head = parse(text.slice(0, end));
      // 100 and 103 come before the answer.
      start += end + 4;
      if (head.status >= 200) return { head, beyond: size - start };
    }
  }
}

function parse(text: string): Parsed {
  const [first, ...lines] = text.split("\r\n");
  const [, version, status] = LINE.exec(first) ?? [];
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
  return { status: Number(status), headers, version };
}
