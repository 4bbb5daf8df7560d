import { createClient } from "@supabase/supabase-js";

import { network } from "./connect.ts";
import { createHandler } from "./deliver.ts";
import { required, secretKey } from "./environment.ts";
import { databaseOutbox } from "./outbox.ts";
import { LEASE_SECONDS } from "./run.ts";

declare const EdgeRuntime: { waitUntil(work: Promise<unknown>): void } | undefined;

/** Serves the function `audience`, which the database wakes to deliver `eventTypes`. */
export function serveDelivery(audience: string, eventTypes: string[]): void {
  const client = createClient(required("SUPABASE_URL"), secretKey(), {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  const handle = createHandler({
    audience,
    eventTypes,
    wakeSecret: required("WAKE_SECRET"),
    outbox: databaseOutbox(client),
    network,
    now: Date.now,
    // deno-lint-ignore no-console -- the function's log is what it prints
    log: (line) => console.error(line),
    leaseSeconds: Number(Deno.env.get("DELIVERY_LEASE_SECONDS")) || LEASE_SECONDS,
  });
  Deno.serve((request) => {
    const answer = handle(request);
    // pg_net hangs up after 10 s; what has been claimed is delivered all the same.
    if (typeof EdgeRuntime !== "undefined") EdgeRuntime.waitUntil(answer);
    return answer;
  });
}
