/** How long, in milliseconds, a connection is kept without work: many receivers hang up after five seconds. */
export const IDLE = 2000;
/** How many are kept without work; the one that has waited longest makes room. */
export const MOST_IDLE = 100;

/** How long, in milliseconds, the rest of an answer may take to come, only to have the connection again. */
const REST = 200;

/**
 * Connections that can serve another post to the same origin. Each leads to the very address that was looked at when
 * it was made, and what may be private never serves what may not: keeping them asks nobody for an address again.
 */
export class Connections {
  private idle: { key: string; connection: Deno.Conn; since: number }[] = [];
  private isClosed = false;

  /** `now` tells milliseconds that only go forward. */
  constructor(private readonly now: () => number = () => performance.now()) {}

  /** One that leads to the origin of `url`, the latest kept; it is the caller's from now on. */
  take(url: URL, allowPrivate: boolean): Deno.Conn | undefined {
    const key = keyOf(url, allowPrivate);
    const freshest = this.idle.findLastIndex((kept) => kept.key === key);
    if (freshest < 0) return undefined;
    const [{ connection, since }] = this.idle.splice(freshest, 1);
    if (this.now() - since < IDLE) return connection;
    close(connection);
    return undefined;
  }

  /** Give back a connection over which `left` bytes are still to come. */
  async keep(url: URL, allowPrivate: boolean, connection: Deno.Conn, left: number): Promise<void> {
    if (!await readAway(connection, left) || this.isClosed) return close(connection);
    this.idle.push({ key: keyOf(url, allowPrivate), connection, since: this.now() });
    if (this.idle.length > MOST_IDLE) close(this.idle.shift()!.connection);
  }

  close(): void {
    this.isClosed = true;
    for (const { connection } of this.idle.splice(0)) close(connection);
  }
}

/** Closes what may be closed already, by the other side or by the clock. */
export function close(connection: Deno.Conn | undefined): void {
  try {
    connection?.close();
  } catch {
    // It was closed already.
  }
}

async function readAway(connection: Deno.Conn, left: number): Promise<boolean> {
  if (left === 0) return true;
  const timer = setTimeout(() => close(connection), REST);
  try {
    for (const buffer = new Uint8Array(left); left > 0;) {
      const read = await connection.read(buffer.subarray(0, left));
      if (read === null) return false;
      left -= read;
    }
    return true;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}

function keyOf(url: URL, allowPrivate: boolean): string {
  return `${allowPrivate} ${url.origin}`;
}
