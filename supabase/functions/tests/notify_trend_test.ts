import assert from "node:assert/strict";
import { createHmac } from "node:crypto";

import { createClient } from "@supabase/supabase-js";
import { Webhook } from "standardwebhooks";

import { required, secretKey } from "../_shared/environment.ts";
import { createHandler, type Dependencies } from "../notify-trend/handler.ts";
import { databaseOutbox, type Delivery, type Outbox, type Outcome } from "../notify-trend/outbox.ts";
import { post } from "../notify-trend/post.ts";

const NOW = Date.parse("2026-11-21T03:00:00.700Z");
const WAKE_SECRET = "a wake secret of the tests";
const ENDPOINT_SECRET = `whsec_${btoa("0123456789abcdef0123456789abcdef")}`;
// Korean, a space and a key order that only a byte-for-byte copy keeps.
const BODY = '{"type": "trend.detected", "data": {"keyword": "먹방", "b": 1, "a": 2}}';

function wake({ at = NOW / 1000, secret = WAKE_SECRET, audience = "notify-trend", method = "POST" } = {}): Request {
  const t = String(Math.floor(at));
  const v1 = createHmac("sha256", secret).update(`${t}.${audience}`).digest("hex");
  return wakeWith(`t=${t},v1=${v1}`, method);
}

function wakeWith(header: string | null, method = "POST"): Request {
  const headers: HeadersInit = header === null ? {} : { "x-ondol-wake": header };
  return new Request("http://127.0.0.1/notify-trend", { method, headers });
}

function delivery(number: number, changes: Partial<Delivery> = {}): Delivery {
  return {
    delivery_id: `00000000-0000-0000-0000-${String(number).padStart(12, "0")}`,
    webhook_id: `msg_${number}`,
    attempt: 1,
    url: `https://receiver.test/${number}`,
    secret: ENDPOINT_SECRET,
    body: BODY,
    ...changes,
  };
}

class FakeOutbox implements Outbox {
  readonly claims: [number, number][] = [];
  readonly records = new Map<string, Outcome>();

  constructor(private readonly batches: Delivery[][]) {}

  claim(limit: number, leaseSeconds: number): Promise<Delivery[]> {
    this.claims.push([limit, leaseSeconds]);
    return Promise.resolve(this.batches.shift() ?? []);
  }

  record(delivery: Delivery, outcome: Outcome): Promise<void> {
    this.records.set(delivery.webhook_id, outcome);
    return Promise.resolve();
  }
}

/** A network of answers by URL: a status, or what fetch throws. */
function network(answers: Record<string, number | Error> = {}) {
  const requests: Request[] = [];
  let open = 0;
  const seen = { requests, most: 0 };
  const send = async (url: URL | RequestInfo, init?: RequestInit): Promise<Response> => {
    const request = new Request(url, init);
    requests.push(request);
    seen.most = Math.max(seen.most, ++open);
    await new Promise((resolve) => setTimeout(resolve, 1));
    open -= 1;
    const answer = answers[request.url] ?? 200;
    if (answer instanceof Error) throw answer;
    return new Response(answer === 204 ? null : "the receiver's own words", { status: answer });
  };
  return { seen, send };
}

function build(batches: Delivery[][] = [], changes: Partial<Dependencies> = {}) {
  const outbox = new FakeOutbox(batches);
  const { seen, send } = network();
  const lines: string[] = [];
  const handle = createHandler({
    wakeSecret: WAKE_SECRET,
    outbox,
    send,
    now: () => NOW,
    log: (line) => lines.push(line),
    ...changes,
  });
  return { outbox, seen, lines, handle };
}

async function served(
  answer: (request: Request) => Response | Promise<Response>,
  use: (url: string) => Promise<void>,
): Promise<void> {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, answer);
  try {
    await use(`http://127.0.0.1:${server.addr.port}`);
  } finally {
    await server.shutdown();
  }
}

const REFUSED: Record<string, Request> = {
  "no signature": wakeWith(null),
  "an empty signature": wakeWith(""),
  "another form": wakeWith("v1=abc"),
  "a signature cut short": wakeWith(wake().headers.get("x-ondol-wake")!.slice(0, -2)),
  "another secret": wake({ secret: "guessed" }),
  "another audience": wake({ audience: "other-function" }),
  "a minute and a second ago": wake({ at: NOW / 1000 - 61 }),
  "a minute and a second ahead": wake({ at: NOW / 1000 + 61 }),
  "a changed time": wakeWith(
    wake({ at: NOW / 1000 - 61 }).headers.get("x-ondol-wake")!.replace(/t=\d+/, `t=${Math.floor(NOW / 1000)}`),
  ),
};

for (const [name, request] of Object.entries(REFUSED)) {
  Deno.test(`a wake-up is refused: ${name}`, async () => {
    const { handle, outbox } = build([[delivery(1)]]);
    const answer = await handle(request);
    assert.equal(answer.status, 401);
    const body = await answer.json();
    assert.deepEqual(Object.keys(body), ["code", "message", "hint"]);
    assert.equal(body.code, "invalid_wake");
    assert.deepEqual(outbox.claims, []);
  });
}

for (const seconds of [-59, 0, 59]) {
  Deno.test(`a wake-up of ${seconds} s is taken`, async () => {
    const { handle } = build();
    const answer = await handle(wake({ at: NOW / 1000 + seconds }));
    assert.equal(answer.status, 200);
    assert.deepEqual(await answer.json(), { claimed: 0, delivered: 0, failed: 0 });
  });
}

Deno.test("only POST wakes", async () => {
  const { handle, outbox } = build([[delivery(1)]]);
  const answer = await handle(wake({ method: "GET" }));
  assert.equal(answer.status, 405);
  assert.equal(answer.headers.get("allow"), "POST");
  assert.equal((await answer.json()).code, "method_not_allowed");
  assert.deepEqual(outbox.claims, []);
});

Deno.test("a receiver verifies the exact body with the library of the standard", async () => {
  const now = Date.now(); // the library compares with the real clock
  const { seen, send } = network({ "https://receiver.test/1": 204 });
  const { handle, outbox } = build([[delivery(1)]], { send, now: () => now });
  assert.deepEqual(await (await handle(wake({ at: now / 1000 }))).json(), { claimed: 1, delivered: 1, failed: 0 });
  const [request] = seen.requests;
  const text = await request.text();
  assert.equal(text, BODY);
  assert.equal(request.method, "POST");
  assert.equal(request.redirect, "manual");
  assert.equal(request.headers.get("content-type"), "application/json");
  assert.equal(request.headers.get("webhook-id"), "msg_1");
  assert.deepEqual(new Webhook(ENDPOINT_SECRET).verify(text, Object.fromEntries(request.headers)), JSON.parse(BODY));
  assert.deepEqual(outbox.records.get("msg_1"), { status: 204, error: null });
});

Deno.test("claims until nothing is due", async () => {
  const batches = [[1, 2], [3], [4]].map((numbers) => numbers.map((number) => delivery(number)));
  const { handle, outbox } = build(batches);
  assert.deepEqual(await (await handle(wake())).json(), { claimed: 4, delivered: 4, failed: 0 });
  assert.deepEqual(outbox.claims, [[20, 60], [20, 60], [20, 60], [20, 60]]);
  assert.equal(outbox.records.size, 4);
});

Deno.test("stops claiming after 100 s", async () => {
  const endless = new FakeOutbox([]);
  let now = NOW;
  let number = 0;
  endless.claim = () => {
    now += 30_000;
    return Promise.resolve([delivery(++number)]);
  };
  const { handle } = build([], { outbox: endless, now: () => now });
  assert.equal((await (await handle(wake())).json()).claimed, 4);
});

Deno.test("posts at most ten at a time", async () => {
  const { handle, seen } = build([Array.from({ length: 20 }, (_, number) => delivery(number))]);
  assert.equal((await (await handle(wake())).json()).delivered, 20);
  assert.equal(seen.most, 10);
});

Deno.test("a failing delivery stops no other and says nothing secret", async () => {
  const { send } = network({
    "https://receiver.test/2": 500,
    "https://receiver.test/3": 302,
    "https://receiver.test/4": new TypeError(`error sending request, secret ${ENDPOINT_SECRET}`),
    "https://receiver.test/5": new DOMException("Signal timed out.", "TimeoutError"),
    "https://receiver.test/8": 410,
  });
  const broken = [delivery(6, { secret: null }), delivery(7, { secret: "whsec_no base64" })];
  const batch = [...[1, 2, 3, 4, 5].map((number) => delivery(number)), ...broken, delivery(8), delivery(9)];
  const { handle, outbox, lines } = build([batch], { send });
  assert.deepEqual(await (await handle(wake())).json(), { claimed: 9, delivered: 2, failed: 7 });
  assert.deepEqual(Object.fromEntries(outbox.records), {
    msg_1: { status: 200, error: null },
    msg_2: { status: 500, error: "Answered 500." },
    msg_3: { status: 302, error: "Answered 302; redirects are not followed." },
    msg_4: { status: null, error: "The endpoint could not be reached." },
    msg_5: { status: null, error: "No answer within 15 s." },
    msg_6: { status: null, error: "The endpoint has no secret that could sign." },
    msg_7: { status: null, error: "The endpoint has no secret that could sign." },
    msg_8: { status: 410, error: "Answered 410." },
    msg_9: { status: 200, error: null },
  });
  assert.equal(lines.length, 7);
  const said = JSON.stringify([...outbox.records, ...lines]);
  for (const hidden of [ENDPOINT_SECRET, "no base64", WAKE_SECRET, "own words"]) assert.ok(!said.includes(hidden));
});

Deno.test("a delivery that cannot be recorded counts as failed and stops no other", async () => {
  const outbox = new FakeOutbox([[delivery(1), delivery(2)]]);
  const record = outbox.record.bind(outbox);
  outbox.record = (claimed, outcome) =>
    claimed.webhook_id === "msg_1" ? Promise.reject(new Error("no connection")) : record(claimed, outcome);
  const { handle, lines } = build([], { outbox });
  assert.deepEqual(await (await handle(wake())).json(), { claimed: 2, delivered: 1, failed: 1 });
  assert.deepEqual(lines, ["msg_1, attempt 1: not recorded: no connection"]);
});

Deno.test("an outbox out of reach is a 503 without details", async () => {
  const outbox = new FakeOutbox([]);
  outbox.claim = () => Promise.reject(new Error("password of the database"));
  const { handle, lines } = build([], { outbox });
  const answer = await handle(wake());
  assert.equal(answer.status, 503);
  assert.ok(!(await answer.text()).includes("password"));
  assert.deepEqual(lines, ["the outbox could not be read: password of the database"]);
});

Deno.test("a redirect's target is never visited", async () => {
  const visited: string[] = [];
  await served((request) => {
    visited.push(new URL(request.url).pathname);
    return new Response("moved", { status: 307, headers: { location: "/elsewhere" } });
  }, async (url) => {
    const outcome = await post(delivery(1, { url: `${url}/hook` }), fetch, NOW);
    assert.deepEqual(outcome, { status: 307, error: "Answered 307; redirects are not followed." });
  });
  assert.deepEqual(visited, ["/hook"]);
});

Deno.test("a slow endpoint is given up", async () => {
  const patience = Promise.withResolvers<void>();
  await served(async () => {
    await patience.promise;
    return new Response();
  }, async (url) => {
    const outcome = await post(delivery(1, { url }), fetch, NOW, 50);
    assert.deepEqual(outcome, { status: null, error: "No answer within 0.05 s." });
    patience.resolve();
  });
});

Deno.test("an endpoint that is down is told from one that is slow", async () => {
  let url = "";
  await served(() => new Response(), (open) => {
    url = open;
    return Promise.resolve();
  });
  const outcome = await post(delivery(1, { url }), fetch, NOW);
  assert.deepEqual(outcome, { status: null, error: "The endpoint could not be reached." });
});

Deno.test("the outbox is reached through the Data API by the names agreed", async () => {
  const calls: [string, string | null, unknown][] = [];
  const row = delivery(1);
  await served(async (request) => {
    calls.push([new URL(request.url).pathname, request.headers.get("apikey"), await request.json()]);
    return request.url.includes("claim") ? Response.json([row]) : Response.json({ code: "PT404", message: "no such" }, {
      status: 404,
    });
  }, async (url) => {
    const options = { auth: { persistSession: false, autoRefreshToken: false } };
    const outbox = databaseOutbox(createClient(url, "sb_secret_test", options));
    assert.deepEqual(await outbox.claim(20, 60), [row]);
    await assert.rejects(
      outbox.record(row, { status: null, error: "why" }),
      { message: "record_webhook_delivery: PT404 no such" },
    );
  });
  assert.deepEqual(calls, [
    ["/rest/v1/rpc/claim_webhook_deliveries", "sb_secret_test", { limit: 20, lease_seconds: 60 }],
    [
      "/rest/v1/rpc/record_webhook_delivery",
      "sb_secret_test",
      { delivery_id: row.delivery_id, attempt: 1, status: null, error: "why" },
    ],
  ]);
});

Deno.test("the secret key is found under each of its names, the newest first", () => {
  const all: Record<string, string> = {
    SUPABASE_SECRET_KEYS: '{"default": "listed"}',
    SUPABASE_SECRET_KEY: "single",
    SUPABASE_SERVICE_ROLE_KEY: "legacy",
  };
  const without = (...names: string[]) => (name: string) => names.includes(name) ? undefined : all[name];
  assert.equal(secretKey(without()), "listed");
  assert.equal(secretKey(without("SUPABASE_SECRET_KEYS")), "single");
  assert.equal(secretKey(without("SUPABASE_SECRET_KEYS", "SUPABASE_SECRET_KEY")), "legacy");
  assert.throws(() => secretKey(() => undefined), /SUPABASE_SERVICE_ROLE_KEY is not set/);
  assert.throws(() => required("WAKE_SECRET", () => ""), /WAKE_SECRET is not set/);
});
