import { refuse } from "../_shared/answers.ts";
import { isGenuineWake } from "../_shared/wake.ts";
import type { Delivery, Outbox } from "./outbox.ts";
import { post } from "./post.ts";

/** The name that a wake-up is signed for. */
export const AUDIENCE = "notify-trend";
const CLAIM = 20;
const AT_A_TIME = 10; // two rounds of 15 s fit into the lease
const LEASE_SECONDS = 60;
const BUDGET = 100_000; // ms; a hosted function is ended after 150 s, and one claim may take 30 s more

export interface Dependencies {
  wakeSecret: string;
  outbox: Outbox;
  send: typeof fetch;
  /** Milliseconds since 1970. */
  now: () => number;
  /** Takes a line for the operator's log. */
  log: (line: string) => void;
}

export interface Report {
  claimed: number;
  delivered: number;
  failed: number;
}

/** Answers a wake-up from the database: delivers what is due and says how much that was. */
export function createHandler(dependencies: Dependencies): (request: Request) => Promise<Response> {
  return async (request) => {
    if (request.method !== "POST") {
      const answer = refuse(405, "method_not_allowed", "This function is woken by POST.", "Send a POST request.");
      answer.headers.set("allow", "POST");
      return answer;
    }
    const proof = request.headers.get("x-ondol-wake");
    if (!await isGenuineWake(proof, AUDIENCE, dependencies.wakeSecret, dependencies.now())) {
      return refuse(
        401,
        "invalid_wake",
        "The wake-up is unsigned, wrongly signed, or older than a minute.",
        "WAKE_SECRET must equal the Vault secret wake_secret; compare both clocks too.",
      );
    }
    const report: Report = { claimed: 0, delivered: 0, failed: 0 };
    try {
      await deliverWhatIsDue(dependencies, report);
    } catch (error) {
      dependencies.log(`the outbox could not be read: ${reason(error)}`);
      return refuse(
        503,
        "outbox_unavailable",
        "The outbox could not be read.",
        "Nothing is lost: the next wake-up or sweep tries again. The function's log has the reason.",
      );
    }
    return Response.json(report);
  };
}

async function deliverWhatIsDue(dependencies: Dependencies, report: Report): Promise<void> {
  const end = dependencies.now() + BUDGET;
  do {
    const deliveries = await dependencies.outbox.claim(CLAIM, LEASE_SECONDS);
    if (deliveries.length === 0) return;
    report.claimed += deliveries.length;
    const waiting = deliveries.values();
    const worker = async () => {
      for (const delivery of waiting) {
        if (await deliver(dependencies, delivery)) report.delivered += 1;
        else report.failed += 1;
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  } while (dependencies.now() < end);
}

/** One attempt and its record; whatever goes wrong stays with this delivery. */
async function deliver({ outbox, send, now, log }: Dependencies, delivery: Delivery): Promise<boolean> {
  const outcome = await post(delivery, send, now());
  if (outcome.error) log(`${delivery.webhook_id}, attempt ${delivery.attempt}: ${outcome.error}`);
  try {
    await outbox.record(delivery, outcome);
  } catch (error) {
    // The lease ends and the delivery is made again under the same webhook-id.
    log(`${delivery.webhook_id}, attempt ${delivery.attempt}: not recorded: ${reason(error)}`);
    return false;
  }
  return outcome.error === null;
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : "unknown";
}
