import { Webhook } from "standardwebhooks";

import type { Delivery, Outcome } from "./outbox.ts";

/** How long, in milliseconds, an endpoint may take to answer. */
export const TIMEOUT = 15_000;

/**
 * Sign `delivery` by Standard Webhooks and post it. Never throws, and what it says of a failure
 * holds nothing of the secret, the signature or the answer.
 */
export async function post(
  delivery: Delivery,
  send: typeof fetch,
  now: number,
  timeout: number = TIMEOUT,
): Promise<Outcome> {
  let signature: string;
  try {
    signature = new Webhook(delivery.secret ?? "").sign(delivery.webhook_id, new Date(now), delivery.body);
  } catch {
    return { status: null, error: "The endpoint has no secret that could sign." };
  }
  try {
    const answer = await send(delivery.url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "user-agent": "Ondol",
        "webhook-id": delivery.webhook_id,
        "webhook-timestamp": String(Math.floor(now / 1000)),
        "webhook-signature": signature,
      },
      body: delivery.body,
      redirect: "manual",
      signal: AbortSignal.timeout(timeout),
    });
    // Nothing of the answer but its status is of use; a body left unread would hold the connection.
    await answer.body?.cancel().catch(() => {});
    return { status: answer.status, error: answer.ok ? null : describe(answer.status) };
  } catch (error) {
    const late = error instanceof DOMException && error.name === "TimeoutError";
    return {
      status: null,
      error: late ? `No answer within ${timeout / 1000} s.` : "The endpoint could not be reached.",
    };
  }
}

function describe(status: number): string {
  const redirect = status >= 300 && status < 400;
  return redirect ? `Answered ${status}; redirects are not followed.` : `Answered ${status}.`;
}
