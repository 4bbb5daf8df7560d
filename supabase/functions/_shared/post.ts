import { Webhook } from "standardwebhooks";

import { connectTo, type Network, refuseOthers, Unreachable } from "./connect.ts";
import { close, type Connections } from "./connections.ts";
import { exchange, Silent } from "./exchange.ts";
import type { Delivery, Outcome } from "./outbox.ts";

/**
 * Sign `delivery` by Standard Webhooks, with every secret that is good at present, and post it. `now` and `timeout` are
 * in milliseconds; `connections` lends and takes back, without it the connection is closed. Never throws, and what it
 * says of a failure holds nothing of the secret, the signature or the answer.
 */
export async function post(
  delivery: Delivery,
  network: Network,
  now: number,
  timeout: number,
  connections?: Connections,
): Promise<Outcome> {
  const started = performance.now();
  const outcome = await attempt(delivery, network, now, timeout, connections);
  return { ...outcome, duration_ms: Math.round(performance.now() - started) };
}

async function attempt(
  delivery: Delivery,
  network: Network,
  now: number,
  timeout: number,
  connections?: Connections,
): Promise<Omit<Outcome, "duration_ms">> {
  const failed = (error: string) => ({ status: null, error, retry_after_seconds: null });
  let signature: string;
  try {
    signature = delivery.secrets
      .map((secret) => new Webhook(secret).sign(delivery.webhook_id, new Date(now), delivery.body))
      .join(" ");
  } catch {
    signature = "";
  }
  if (!signature) return failed("The endpoint has no secret that could sign.");
  const url = URL.parse(delivery.url);
  if (!url) return failed("The address is no URL.");
  const headers = {
    "content-type": "application/json",
    "user-agent": "Ondol",
    "webhook-id": delivery.webhook_id,
    "webhook-timestamp": String(Math.floor(now / 1000)),
    "webhook-signature": signature,
  };
  let connection: Deno.Conn | undefined;
  let isOver = false;
  const opened = (opened: Deno.Conn) => {
    // Deno cannot call off a handshake: what comes too late is closed here.
    if (isOver) close(opened);
    return connection = opened;
  };
  const mayBePrivate = delivery.allow_private;
  const send = (through: Deno.Conn) => exchange(through, url, headers, delivery.body, connections !== undefined);
  const converse = async () => {
    refuseOthers(url, mayBePrivate);
    const kept = connections?.take(url, mayBePrivate);
    try {
      if (kept) return await send(opened(kept));
    } catch (error) {
      if (!(error instanceof Silent) || isOver) throw error;
      // The other side had hung up. If it did read this, it knows the second one by its webhook-id.
      close(kept);
    }
    return await send(await connectTo(url, mayBePrivate, network, opened));
  };
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Unreachable(`No answer within ${timeout / 1000} s.`)), timeout);
  });
  try {
    const { status, headers: told, left } = await Promise.race([converse(), late]);
    if (connections && connection && left !== null) {
      connections.keep(url, mayBePrivate, connection, left);
      connection = undefined;
    }
    if (status < 300) return { status, error: null, retry_after_seconds: null };
    return { status, error: describe(status), retry_after_seconds: secondsUntil(told.get("retry-after"), now) };
  } catch (error) {
    return failed(error instanceof Unreachable ? error.message : "The endpoint could not be reached.");
  } finally {
    clearTimeout(timer);
    isOver = true;
    close(connection);
  }
}

/** The seconds that a Retry-After asks to wait, told in seconds or as a date; null if it says neither. */
export function secondsUntil(header: string | null, now: number): number | null {
  if (header === null) return null;
  if (/^\d{1,9}$/.test(header)) return Number(header);
  // The three forms of HTTP all begin with the day of the week; Date.parse alone would take "-1".
  const at = /^[A-Z][a-z]{2,8},? /.test(header) ? Date.parse(header) : NaN;
  return Number.isNaN(at) ? null : Math.max(0, Math.ceil((at - now) / 1000));
}

function describe(status: number): string {
  const redirect = status >= 300 && status < 400;
  return redirect ? `Answered ${status}; redirects are not followed.` : `Answered ${status}.`;
}
