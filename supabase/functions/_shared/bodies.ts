/** Says that a body goes on beyond what is read of it. */
export class TooLarge extends Error {}

/** The whole body as text; reading stops with TooLarge at the first byte beyond `most`. Throws TypeError if it is no UTF-8. */
export async function readText(body: ReadableStream<Uint8Array> | null, most: number): Promise<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let size = 0;
  let text = "";
  // Leaving the loop early cancels the stream.
  for await (const chunk of body ?? []) {
    size += chunk.byteLength;
    if (size > most) throw new TooLarge(`more than ${most} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
