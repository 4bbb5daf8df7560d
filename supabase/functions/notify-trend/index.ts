// Delivers the outbox: the database wakes it through pg_net after each commit that has something to tell.
import { createClient } from "@supabase/supabase-js";

import { required, secretKey } from "../_shared/environment.ts";
import { createHandler } from "./handler.ts";
import { databaseOutbox } from "./outbox.ts";

declare const EdgeRuntime: { waitUntil(work: Promise<unknown>): void } | undefined;

const client = createClient(required("SUPABASE_URL"), secretKey(), {
  auth: { persistSession: false, autoRefreshToken: false },
});
const handle = createHandler({
  wakeSecret: required("WAKE_SECRET"),
  outbox: databaseOutbox(client),
  send: fetch,
  now: Date.now,
  // deno-lint-ignore no-console -- the function's log is what it prints
  log: (line) => console.error(line),
});

Deno.serve((request) => {
  const answer = handle(request);
  // pg_net hangs up after 10 s; what has been claimed is delivered all the same.
  if (typeof EdgeRuntime !== "undefined") EdgeRuntime.waitUntil(answer);
  return answer;
});
