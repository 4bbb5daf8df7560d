import { required } from "../_shared/environment.ts";
import { readText } from "../_shared/bodies.ts";

const LONGEST_ANSWER = 65_536; // bytes
const DEFAULT_TIMEOUT = 20; // seconds
const LOOPBACK = new Set(["127.0.0.1", "localhost", "[::1]"]);

/** One message of a chat, as the completions endpoint takes it. */
export interface Message {
  role: "system" | "user" | "assistant";
  content: string;
}

/** Whoever completes a chat; `complete` throws an Error that tells nothing of the key or of what was said. */
export interface Model {
  name: string;
  complete(messages: Message[]): Promise<string>;
}

/** What an OpenAI-compatible endpoint needs. */
export interface Endpoint {
  url: string;
  key: string;
  name: string;
  /** Milliseconds for an answer, a second attempt included. */
  timeout: number;
}

type Read = (name: string) => string | undefined;

/** The endpoint by AI_CHAT_KEY, AI_CHAT_URL and AI_CHAT_MODEL; null without a key. A half-set one must not start. */
export function endpointFrom(read: Read = Deno.env.get): Endpoint | null {
  const key = read("AI_CHAT_KEY");
  if (!key) return null;
  const url = new URL(required("AI_CHAT_URL", read));
  if (url.protocol !== "https:" && !(url.protocol === "http:" && LOOPBACK.has(url.hostname))) {
    throw new Error("AI_CHAT_URL must begin with https://, so that nobody on the way reads AI_CHAT_KEY");
  }
  const seconds = Number(read("AI_CHAT_TIMEOUT_SECONDS") || DEFAULT_TIMEOUT);
  if (!(seconds > 0 && seconds <= 60)) throw new Error("AI_CHAT_TIMEOUT_SECONDS must be more than 0 and at most 60");
  return { url: url.href, key, name: required("AI_CHAT_MODEL", read), timeout: seconds * 1000 };
}

/** The model behind `endpoint`. `pause` waits a number of milliseconds before the second attempt. */
export function modelAt(endpoint: Endpoint, send: typeof fetch, pause: (delay: number) => Promise<void>): Model {
  const { url, key, name, timeout } = endpoint;
  return {
    name,
    async complete(messages) {
      const signal = AbortSignal.timeout(timeout);
      const ask = () =>
        send(url, {
          method: "POST",
          headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
          body: JSON.stringify({ model: name, messages }),
          redirect: "manual", // the key is for this host alone
          signal,
        });
      let answer = await ask();
      if (answer.status === 429 || answer.status >= 500) {
        await answer.body?.cancel();
        await pause(250 + Math.random() * 500);
        answer = await ask();
      }
      if (!answer.ok) {
        await answer.body?.cancel();
        throw new Error(`the model's server answered ${answer.status}`);
      }
      const content = JSON.parse(await readText(answer.body, LONGEST_ANSWER))?.choices?.[0]?.message?.content;
      if (typeof content !== "string") throw new Error("the model's server answered in another form");
      return content;
    },
  };
}
