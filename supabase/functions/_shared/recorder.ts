import type { Outbox, Report } from "./outbox.ts";

/** The most reports that one call takes. */
export const BATCH = 100;
/** How long, in milliseconds, a report may wait for others: what is not recorded is sent again after a crash. */
export const LINGER = 250;
/** After how many milliseconds a call that failed is made once more: a database that restarts is back by then. */
export const AGAIN = 1000;

/** Records outcomes in batches, while others are still under way. */
export class Recorder {
  private reports: Report[] = [];
  private readonly calls = new Set<Promise<void>>();
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** `recorded` is told of each report whether it was kept. */
  constructor(
    private readonly outbox: Outbox,
    private readonly recorded: (report: Report, problem: string | null) => void,
  ) {}

  add(report: Report): void {
    this.reports.push(report);
    if (this.reports.length >= BATCH) this.send();
    else this.timer ??= setTimeout(() => this.send(), LINGER);
  }

  /** Returns when all that was added has been told to the database. */
  async close(): Promise<void> {
    this.send();
    await Promise.all(this.calls);
  }

  private send(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const reports = this.reports;
    if (reports.length === 0) return;
    this.reports = [];
    const tell = (problem: string | null) => reports.forEach((report) => this.recorded(report, problem));
    const call = this.outbox.record(reports).catch(async () => {
      // Told twice is the same as told once; not told means posted twice.
      await new Promise((resolve) => setTimeout(resolve, AGAIN));
      await this.outbox.record(reports);
    }).then(
      () => tell(null),
      // The leases end and the deliveries are made again under the same webhook-id.
      (error) => tell(error instanceof Error ? error.message : "unknown"),
    ).finally(() => this.calls.delete(call));
    this.calls.add(call);
  }
}
