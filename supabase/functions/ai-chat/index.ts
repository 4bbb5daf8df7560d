// Search by conversation for premium and up; without a key of a model, search itself answers.
import { publishableKey, required } from "../_shared/environment.ts";
import { createHandler } from "./handler.ts";
import { endpointFrom, modelAt } from "./model.ts";
import { roomOf } from "./room.ts";

declare const EdgeRuntime: { waitUntil(work: Promise<unknown>): void } | undefined;

const url = required("SUPABASE_URL");
const key = publishableKey();
const endpoint = endpointFrom();
const pause = (delay: number) => new Promise<void>((resolve) => setTimeout(resolve, delay));
const handle = createHandler({
  roomFor: (authorization) => roomOf(url, key, authorization, fetch),
  model: endpoint && modelAt(endpoint, fetch, pause),
  now: Date.now,
  // deno-lint-ignore no-console -- the function's log is what it prints
  log: (line) => console.error(line),
});

Deno.serve((request) => {
  const answer = handle(request);
  // Who hangs up has spent the turn all the same, and finds the answer in the conversation.
  if (typeof EdgeRuntime !== "undefined") EdgeRuntime.waitUntil(answer);
  return answer;
});
