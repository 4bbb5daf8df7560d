import type { Model } from "./model.ts";
import { messagesFor, readReply, type Reply } from "./prompt.ts";
import { type Question, readQuestion } from "./question.ts";
import { Refusal } from "./refusal.ts";
import type { Card, Room, Said } from "./room.ts";
import { findVideos, languageOf, plainAnswer } from "./words.ts";

const MOST_VIDEOS = 6;

// A page of any host may call: what it may do is decided by the token, and no cookie is looked at.
const CORS = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "POST, OPTIONS",
  "access-control-allow-headers": "authorization, x-client-info, apikey, content-type, x-request-id",
  "access-control-expose-headers": "retry-after",
  "access-control-max-age": "86400",
};

export interface Dependencies {
  /** The room as whoever holds this Authorization header sees it. */
  roomFor: (authorization: string) => Room;
  /** Null when no key is set: then search answers. */
  model: Model | null;
  /** Milliseconds since 1970. */
  now: () => number;
  /** Takes a line for the operator's log. */
  log: (line: string) => void;
}

/** What the person gets. */
export interface Answer {
  session: string;
  answer: string;
  videos: Card[];
  source: "model" | "search";
  model: string | null;
  fallback: boolean;
  turns_left: number;
}

/** Answers one turn of a conversation: counted first, then searched, then put into words, then stored. */
export function createHandler(dependencies: Dependencies): (request: Request) => Promise<Response> {
  return async (request) => {
    let response: Response;
    try {
      response = await respond(request, dependencies);
    } catch (problem) {
      if (problem instanceof Refusal) {
        response = problem.response();
      } else {
        dependencies.log(`no answer: ${reason(problem)}`);
        const hint = "Try again a little later; the function's log has the reason.";
        response = new Refusal(503, "room_unavailable", "The room could not be reached.", hint).response();
      }
    }
    for (const [name, value] of Object.entries(CORS)) response.headers.set(name, value);
    return response;
  };
}

async function respond(request: Request, dependencies: Dependencies): Promise<Response> {
  if (request.method === "OPTIONS") return new Response(null, { status: 204 });
  if (request.method !== "POST") {
    throw new Refusal(405, "method_not_allowed", "A question is sent by POST.", "Send a POST request.", {
      allow: "POST, OPTIONS",
    });
  }
  const authorization = request.headers.get("authorization") ?? "";
  if (!/^Bearer \S+$/i.test(authorization)) {
    throw new Refusal(
      401,
      "missing_token",
      "The request has no token.",
      "Sign in, and send the token of that session.",
    );
  }
  const question = await readQuestion(request);
  return Response.json(await talk(question, dependencies.roomFor(authorization), dependencies));
}

async function talk({ message, session }: Question, room: Room, dependencies: Dependencies): Promise<Answer> {
  const { now, log } = dependencies;
  const startedAt = now();
  const turn = await room.open(message, session);
  if (!turn.granted) {
    throw new Refusal(
      429,
      "turns_spent",
      "The day's turns with the AI are spent.",
      `There are new ones at ${turn.resets_at}. Search by keyword is still there.`,
      { "retry-after": String(turn.retry_after_seconds) },
    );
  }
  const language = languageOf(message);
  const earlier = turn.conversation.flatMap(({ role, text }) =>
    role === "user" && typeof text === "string" ? [text] : []
  );
  const finding = await findVideos(message, earlier, MOST_VIDEOS, (query, limit) => room.search(query, limit));
  const reply = await ask(dependencies, message, language, finding.videos, turn.conversation);
  const answer = {
    answer: reply?.answer ?? plainAnswer(language, finding),
    videos: reply?.videos ?? finding.videos,
    source: reply ? "model" as const : "search" as const,
    model: reply && dependencies.model ? dependencies.model.name : null,
    fallback: dependencies.model !== null && reply === null,
  };
  try {
    await room.close({
      ...answer,
      session: turn.session,
      turn: turn.turn,
      videos: answer.videos.map(({ video_id }) => video_id),
      response_time_ms: Math.max(1, Math.round(now() - startedAt)),
    });
  } catch (problem) {
    // The turn is counted and the answer is there: it is not kept from who asked.
    log(`an answer was not stored: ${reason(problem)}`);
  }
  return { session: turn.session, ...answer, turns_left: turn.turns_left };
}

/** What the model says; null when there is none, or when it does not answer as it should. */
async function ask(
  { model, log }: Dependencies,
  message: string,
  language: "ko" | "en",
  videos: Card[],
  conversation: Said[],
): Promise<Reply | null> {
  if (!model) return null;
  try {
    return readReply(await model.complete(messagesFor(message, language, videos, conversation)), videos);
  } catch (problem) {
    // What a parser quotes of an answer is the person's; the kind of the problem is enough.
    log(`search answers for the model: ${problem instanceof SyntaxError ? "the answer is no JSON" : reason(problem)}`);
    return null;
  }
}

function reason(problem: unknown): string {
  return problem instanceof Error ? `${problem.name}: ${problem.message}` : "unknown";
}
