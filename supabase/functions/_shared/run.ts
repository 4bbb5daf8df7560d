import type { Network } from "./connect.ts";
import { Connections } from "./connections.ts";
import type { Delivery, Outbox, Outcome } from "./outbox.ts";
import { post } from "./post.ts";
import { Recorder } from "./recorder.ts";

const CLAIM = 200;
const AT_A_TIME = 50;
/** With fewer waiting the next are claimed, so that nobody waits for the database. */
const AHEAD = 150;
/** How many attempts in a row an endpoint may leave without an answer before a run leaves it alone. */
const PATIENCE = 3;
const BUDGET = 75_000; // ms; a hosted function is ended after 150 s, and what was claimed last may take 60 s more
export const LEASE_SECONDS = 60;

export interface Dependencies {
  /** The event types that this function delivers. */
  eventTypes: string[];
  outbox: Outbox;
  network: Network;
  /** Milliseconds since 1970. */
  now: () => number;
  /** Takes a line for the operator's log. */
  log: (line: string) => void;
  /** How long a claimed delivery is ours; an attempt gets a quarter of it, and none begins in its last third. */
  leaseSeconds?: number;
}

export interface Summary {
  claimed: number;
  delivered: number;
  failed: number;
}

/** Delivers all that is due at each call; a call while a run is under way makes that run look again, and shares it. */
export function createSender(dependencies: Dependencies): () => Promise<Summary> {
  let run: Run | undefined;
  return () => {
    if (!run?.join()) run = new Run(dependencies);
    return run.finished.promise;
  };
}

/** Keeps AT_A_TIME posts under way for as long as something is due; a slow endpoint holds one place, not the others. */
class Run {
  readonly finished = Promise.withResolvers<Summary>();
  private readonly summary: Summary = { claimed: 0, delivered: 0, failed: 0 };
  private readonly unanswered = new Map<string, number>();
  private readonly recorder: Recorder;
  private readonly connections = new Connections();
  private readonly lease: number;
  private readonly end: number;
  private waiting: { delivery: Delivery; claimedAt: number }[] = [];
  private open = 0;
  private isMoreDue = true;
  private isClaiming = false;
  private isEnding = false;
  private problem: unknown = null;

  constructor(private readonly dependencies: Dependencies) {
    this.lease = (dependencies.leaseSeconds ?? LEASE_SECONDS) * 1000;
    this.end = dependencies.now() + BUDGET;
    this.recorder = new Recorder(dependencies.outbox, ({ delivery_id, attempt, error }, problem) => {
      if (problem !== null) dependencies.log(`${delivery_id}, attempt ${attempt}: not recorded: ${problem}`);
      if (problem === null && error === null) this.summary.delivered += 1;
      else this.summary.failed += 1;
    });
    this.go();
  }

  /** Whether this run still looks for what a new wake-up tells of. */
  join(): boolean {
    if (this.isEnding || this.problem !== null || this.dependencies.now() >= this.end) return false;
    this.isMoreDue = true;
    this.go();
    return true;
  }

  private go(): void {
    while (this.open < AT_A_TIME && this.waiting.length > 0) {
      const { delivery, claimedAt } = this.waiting.shift()!;
      // Begun later, it could still be under way when somebody else claims it.
      if (this.dependencies.now() < claimedAt + this.lease * 2 / 3) this.deliver(delivery);
      else this.summary.failed += 1;
    }
    if (this.isMoreDue && this.isShort() && !this.isClaiming && this.dependencies.now() < this.end) this.claim();
    if (this.open === 0 && this.waiting.length === 0 && !this.isClaiming && !this.isEnding) this.finish();
  }

  /** Whether there is too little to do; while what is here only waits, more of it would only lose its lease. */
  private isShort(): boolean {
    const [first] = this.waiting;
    if (first === undefined) return this.open < AT_A_TIME;
    return this.waiting.length < AHEAD && this.dependencies.now() < first.claimedAt + this.lease / 10;
  }

  private async claim(): Promise<void> {
    this.isClaiming = true;
    this.isMoreDue = false;
    const { eventTypes, outbox, now } = this.dependencies;
    try {
      const claimedAt = now();
      const deliveries = await outbox.claim(eventTypes, CLAIM, this.lease / 1000);
      this.summary.claimed += deliveries.length;
      this.waiting.push(...deliveries.map((delivery) => ({ delivery, claimedAt })));
      this.isMoreDue ||= deliveries.length > 0;
    } catch (error) {
      this.problem = error;
      this.isMoreDue = false;
    }
    this.isClaiming = false;
    this.go();
  }

  private async deliver(delivery: Delivery): Promise<void> {
    this.open += 1;
    const { webhook_id, delivery_id, attempt } = delivery;
    const outcome = await this.attempt(delivery);
    if (outcome.error) this.dependencies.log(`${webhook_id}, attempt ${attempt}: ${outcome.error}`);
    this.recorder.add({ delivery_id, attempt, ...outcome });
    this.open -= 1;
    this.go();
  }

  private async attempt(delivery: Delivery): Promise<Outcome> {
    const { network, now } = this.dependencies;
    const timeout = this.lease / 4;
    const unanswered = this.unanswered.get(delivery.url) ?? 0;
    if (unanswered >= PATIENCE) {
      const error = `Not tried: ${PATIENCE} attempts before it got no answer in time.`;
      return { status: null, error, retry_after_seconds: null, duration_ms: 0 };
    }
    const outcome = await post(delivery, network, now(), timeout, this.connections);
    const isLate = outcome.status === null && outcome.duration_ms >= timeout;
    this.unanswered.set(delivery.url, isLate ? (this.unanswered.get(delivery.url) ?? 0) + 1 : 0);
    return outcome;
  }

  private async finish(): Promise<void> {
    this.isEnding = true;
    this.connections.close();
    await this.recorder.close();
    if (this.problem === null) this.finished.resolve(this.summary);
    else this.finished.reject(this.problem);
  }
}
