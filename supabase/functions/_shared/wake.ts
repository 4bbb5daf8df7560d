/** How long, in seconds, a wake-up is good for, both ways: the two clocks may differ. */
export const TOLERANCE = 60;

const FORM = /^t=([0-9]{1,12}),v1=([0-9a-f]{64})$/;

/**
 * Whether `header` ("t=<unix seconds>,v1=<hex>") proves that the database woke `audience`:
 * v1 is the HMAC-SHA256 of "<t>.<audience>". `now` is in milliseconds.
 */
export async function isGenuineWake(
  header: string | null,
  audience: string,
  secret: string,
  now: number,
): Promise<boolean> {
  const [, sentAt, signature] = FORM.exec(header ?? "") ?? [];
  if (!sentAt || !signature) return false;
  if (Math.abs(now / 1000 - Number(sentAt)) > TOLERANCE) return false;
  const encoder = new TextEncoder();
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", encoder.encode(secret), algorithm, false, ["verify"]);
  const bytes = Uint8Array.from(signature.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  // verify() compares in constant time.
  return await crypto.subtle.verify("HMAC", key, bytes, encoder.encode(`${sentAt}.${audience}`));
}
