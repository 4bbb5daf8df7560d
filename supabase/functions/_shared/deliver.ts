import { refuse } from "./answers.ts";
import { createSender, type Dependencies } from "./run.ts";
import { isGenuineWake } from "./wake.ts";

export interface Woken extends Dependencies {
  /** The name that a wake-up is signed for: the function's own. */
  audience: string;
  wakeSecret: string;
}

/** Answers a wake-up from the database: delivers what is due and says how much that was. */
export function createHandler(dependencies: Woken): (request: Request) => Promise<Response> {
  const { audience, wakeSecret, now, log } = dependencies;
  const deliverWhatIsDue = createSender(dependencies);
  return async (request) => {
    if (request.method !== "POST") {
      const answer = refuse(405, "method_not_allowed", "This function is woken by POST.", "Send a POST request.");
      answer.headers.set("allow", "POST");
      return answer;
    }
    if (!await isGenuineWake(request.headers.get("x-ondol-wake"), audience, wakeSecret, now())) {
      return refuse(
        401,
        "invalid_wake",
        "The wake-up is unsigned, wrongly signed, or older than a minute.",
        "WAKE_SECRET must equal the Vault secret wake_secret; compare both clocks too.",
      );
    }
    try {
      return Response.json(await deliverWhatIsDue());
    } catch (error) {
      log(`the outbox could not be read: ${error instanceof Error ? error.message : "unknown"}`);
      return refuse(
        503,
        "outbox_unavailable",
        "The outbox could not be read.",
        "Nothing is lost: the next wake-up or sweep tries again. The function's log has the reason.",
      );
    }
  };
}
