import { readText, TooLarge } from "../_shared/bodies.ts";
import { Refusal } from "./refusal.ts";

const LONGEST_BODY = 16_384; // bytes; 1,000 characters, each escaped as JSON allows, fit in
const LONGEST_MESSAGE = 1000;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** What the person typed, and the conversation that it goes on with. */
export interface Question {
  message: string;
  session: string | null;
}

/** The question of a request's body; throws a Refusal that says what is wrong with it. */
export async function readQuestion(request: Request): Promise<Question> {
  let body: unknown;
  try {
    body = JSON.parse(await readText(request.body, LONGEST_BODY));
  } catch (problem) {
    if (problem instanceof TooLarge) {
      throw new Refusal(413, "body_too_large", "The body has more than 16384 bytes.", "Send a message and a session.");
    }
    throw new Refusal(400, "invalid_body", "The body is no JSON in UTF-8.", 'Send {"message": "…"}.');
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new Refusal(400, "invalid_body", "The body is no JSON object.", 'Send {"message": "…"}.');
  }
  const { message, session = null } = body as Record<string, unknown>;
  const typed = typeof message === "string" ? message.toWellFormed().trim() : "";
  // A NUL cannot be stored; characters are counted as Postgres counts them.
  if (!typed || typed.includes("\0") || [...typed].length > LONGEST_MESSAGE) {
    throw new Refusal(
      400,
      "invalid_message",
      "message is no text of 1 to 1000 characters.",
      "Send what the person typed, without NUL characters.",
    );
  }
  if (session !== null && !(typeof session === "string" && UUID.test(session))) {
    throw new Refusal(
      400,
      "invalid_session",
      "session is no UUID.",
      "Send the session of an earlier answer, or none to begin a new conversation.",
    );
  }
  return { message: typed, session };
}
