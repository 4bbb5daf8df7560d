import { isLiteral, isPublicAddress } from "./addresses.ts";

/** How far an attempt came; what it says holds nothing of the endpoint. */
export class Unreachable extends Error {}

/** What of the network a post needs; tests put their own names and addresses in its place. */
export interface Network {
  resolve(host: string, type: "A" | "AAAA"): Promise<string[]>;
  connect(host: string, port: number): Promise<Deno.Conn>;
  secure(connection: Deno.Conn, host: string): Promise<Deno.Conn>;
}

/** The network as it is. */
export const network: Network = {
  resolve: (host, type) => Deno.resolveDns(host, type),
  connect: (hostname, port) => Deno.connect({ hostname, port }),
  async secure(connection, hostname) {
    const secured = await Deno.startTls(connection as Deno.TcpConn, { hostname, alpnProtocols: ["http/1.1"] });
    await secured.handshake();
    return secured;
  },
};

/** How many addresses of one name are tried. */
const ADDRESSES = 3;

/** Throws if `url` is none that may be called at all; unless `allowPrivate`, only https is spoken. */
export function refuseOthers(url: URL, allowPrivate: boolean): void {
  const isSpoken = url.protocol === "https:" || (url.protocol === "http:" && allowPrivate);
  if (!isSpoken) throw new Unreachable("Only https is spoken.");
  if (url.username || url.password) throw new Unreachable("The address holds a user's name.");
}

/**
 * A connection to the host of `url`, secured if it is https. Unless `allowPrivate`, every address of the name must be
 * public, and the very address that was looked at is the one that is called: a name that means something else a moment
 * later changes nothing. `opened` is told of each connection before it is used.
 */
export async function connectTo(
  url: URL,
  allowPrivate: boolean,
  { resolve, connect, secure }: Network,
  opened: (connection: Deno.Conn) => Deno.Conn,
): Promise<Deno.Conn> {
  refuseOthers(url, allowPrivate);
  const isSecure = url.protocol === "https:";
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = Number(url.port || (isSecure ? 443 : 80));
  const addresses = allowPrivate ? [host] : await publicAddresses(url.hostname, resolve);
  for (const [index, address] of addresses.entries()) {
    let connection: Deno.Conn;
    try {
      connection = await connect(address, port);
    } catch {
      if (index + 1 < addresses.length) continue;
      throw new Unreachable("The endpoint could not be reached.");
    }
    opened(connection);
    if (!isSecure) return connection;
    try {
      return opened(await secure(connection, host));
    } catch {
      throw new Unreachable("The TLS handshake failed.");
    }
  }
  throw new Unreachable("The endpoint could not be reached.");
}

async function publicAddresses(host: string, resolve: Network["resolve"]): Promise<string[]> {
  if (isLiteral(host)) throw new Unreachable("The host is an address, not a name.");
  const answers = await Promise.allSettled([resolve(host, "A"), resolve(host, "AAAA")]);
  const addresses = answers.flatMap((answer) => answer.status === "fulfilled" ? answer.value : []);
  if (addresses.length === 0) throw new Unreachable("The name could not be resolved.");
  // One private address among public ones is an attempt, not an accident.
  if (!addresses.every(isPublicAddress)) throw new Unreachable("The name leads to an address that is not public.");
  return addresses.slice(0, ADDRESSES);
}
