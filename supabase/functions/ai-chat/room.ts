import { readText } from "../_shared/bodies.ts";
import { Refusal } from "./refusal.ts";

/** How long, in milliseconds, the database may take for one call. */
const TIMEOUT = 10_000;
const LONGEST_ANSWER = 1_000_000; // bytes

/** A video as search_videos describes it; passed on to the frontend as it came. */
export interface Card {
  video_id: string;
  title: string;
  channel_name?: string | null;
  duration?: number | null;
  [more: string]: unknown;
}

/** What search_videos found, and the words that it really searched for. */
export interface Found {
  answered: string | null;
  videos: Card[];
}

/** One thing that was said; a person can write into their own conversation, so nothing of it is certain. */
export interface Said {
  role?: unknown;
  text?: unknown;
}

/** A turn that has been counted, or the news that the day has none left. */
export type Turn =
  | { granted: true; session: string; turn: string; turns_left: number; conversation: Said[] }
  | { granted: false; resets_at: string; retry_after_seconds: number };

/** What becomes of a turn. */
export interface Closing {
  session: string;
  turn: string;
  answer: string;
  source: "model" | "search";
  model: string | null;
  fallback: boolean;
  videos: string[];
  response_time_ms: number;
}

/** The room as the person who asks may see and change it. */
export interface Room {
  open(message: string, session: string | null): Promise<Turn>;
  search(query: string, limit: number): Promise<Found>;
  close(closing: Closing): Promise<void>;
}

/** The room behind the Data API, with the token of `authorization`: row level security decides, and no server key. */
export function roomOf(url: string, key: string, authorization: string, send: typeof fetch): Room {
  async function call(name: string, body: unknown): Promise<unknown> {
    const answer = await send(`${url}/rest/v1/rpc/${name}`, {
      method: "POST",
      headers: { apikey: key, authorization, "content-type": "application/json" },
      body: JSON.stringify(body),
      redirect: "manual",
      signal: AbortSignal.timeout(TIMEOUT),
    });
    const text = await readText(answer.body, LONGEST_ANSWER);
    if (answer.ok) return JSON.parse(text);
    throw problemOf(name, answer, text);
  }
  return {
    async open(message, session) {
      return await call("open_ai_turn", { message, session }) as Turn;
    },
    async search(query, limit) {
      const found = await call("search_videos", { query, limit, facets: false }).catch(nothing) as Partial<Found>;
      return { answered: found.answered ?? null, videos: found.videos ?? [] };
    },
    async close(closing) {
      await call("close_ai_turn", closing);
    },
  };
}

/** Words that the search refuses find nothing; they are ours, and not the person's mistake. */
function nothing(problem: unknown): Partial<Found> {
  if (problem instanceof Refusal && problem.status === 400) return {};
  throw problem;
}

/** What the Data API's refusal is to the person: a Refusal if they can do something about it. */
function problemOf(name: string, answer: Response, text: string): Error {
  let refused: { code?: unknown; message?: unknown } = {};
  try {
    refused = JSON.parse(text);
  } catch {
    // An answer of something before PostgREST: the status says enough.
  }
  const code = String(refused?.code ?? "");
  if (code === "PT403" || (code === "42501" && name === "open_ai_turn")) {
    return new Refusal(
      403,
      "premium_required",
      "A conversation with the AI needs premium.",
      "Sign in as somebody with premium, or search by keyword.",
    );
  }
  if (answer.status === 401) {
    return new Refusal(401, "invalid_token", "The token is not valid, or not any more.", "Sign in again.");
  }
  if (code === "PT404") {
    return new Refusal(
      404,
      "unknown_session",
      "There is no such conversation of yours.",
      "Send the session of an earlier answer, or none to begin a new conversation.",
    );
  }
  if (answer.status === 429) {
    return new Refusal(429, "too_many_requests", "Too many requests in a minute.", "Try again a little later.", {
      "retry-after": answer.headers.get("retry-after") ?? "60",
    });
  }
  if (code === "PT400") {
    return new Refusal(400, "invalid_message", String(refused.message), "Send what the person typed.");
  }
  return new Error(`${name}: ${answer.status} ${code}`);
}
