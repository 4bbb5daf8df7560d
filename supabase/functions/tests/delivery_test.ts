import assert from "node:assert/strict";
import { createHmac } from "node:crypto";

import { createClient } from "@supabase/supabase-js";

import type { Network } from "../_shared/connect.ts";
import { createHandler, type Woken } from "../_shared/deliver.ts";
import { required, secretKey } from "../_shared/environment.ts";
import { databaseOutbox, type Delivery, type Report } from "../_shared/outbox.ts";
import { delivery, FakeOutbox, NOW, pretended, received, say, SECRET, served } from "./deliveries.ts";

const WAKE_SECRET = "a wake secret of the tests";
const TYPES = ["trend.detected", "webhook.test"];

function wake({ at = NOW / 1000, secret = WAKE_SECRET, audience = "notify-trend", method = "POST" } = {}): Request {
  const t = String(Math.floor(at));
  const v1 = createHmac("sha256", secret).update(`${t}.${audience}`).digest("hex");
  return wakeWith(`t=${t},v1=${v1}`, method);
}

function wakeWith(header: string | null, method = "POST"): Request {
  const headers: HeadersInit = header === null ? {} : { "x-ondol-wake": header };
  return new Request("http://127.0.0.1/notify-trend", { method, headers });
}

function rows(count: number, changes: Partial<Delivery> = {}, first = 1): Delivery[] {
  return Array.from({ length: count }, (_, index) => delivery(first + index, changes));
}

/** A network of answers by host: a status, or what connecting throws; it knows how many were under way at once. */
function answers(byHost: Record<string, number | Error> = {}) {
  const seen = { open: 0, most: 0, calls: 0 };
  const byAddress = new Map<string, number | Error>();
  const network: Network = {
    resolve: (host, type) => {
      if (type === "AAAA") return Promise.resolve([]);
      const address = `93.184.${byAddress.size}.1`;
      byAddress.set(address, byHost[host] ?? 200);
      return Promise.resolve([address]);
    },
    connect: (address) => {
      const answer = byAddress.get(address)!;
      seen.calls += 1;
      if (answer instanceof Error) return Promise.reject(answer);
      seen.most = Math.max(seen.most, ++seen.open);
      const connection = {
        write: (bytes: Uint8Array) => Promise.resolve(bytes.byteLength),
        read: async (buffer: Uint8Array) => {
          await new Promise((resolve) => setTimeout(resolve, 1));
          return new TextEncoder().encodeInto(`HTTP/1.1 ${answer} X\r\n\r\nits own words`, buffer).written;
        },
        close: () => void (seen.open -= 1),
      };
      return Promise.resolve(connection as unknown as Deno.Conn);
    },
    secure: (connection) => Promise.resolve(connection),
  };
  return { seen, network };
}

function build(due: Delivery[][] = [], changes: Partial<Woken> = {}) {
  const outbox = new FakeOutbox(due);
  const { seen, network } = answers();
  const lines: string[] = [];
  const handle = createHandler({
    audience: "notify-trend",
    eventTypes: TYPES,
    wakeSecret: WAKE_SECRET,
    outbox,
    network,
    now: () => NOW,
    log: (line) => lines.push(line),
    ...changes,
  });
  const woken = async () => await (await handle(wake())).json();
  return { outbox, seen, lines, handle, woken };
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

Deno.test("claims its own event types until nothing is due", async () => {
  const { woken, outbox } = build([rows(2), rows(1, {}, 3), rows(1, {}, 4)]);
  assert.deepEqual(await woken(), { claimed: 4, delivered: 4, failed: 0 });
  assert.deepEqual(outbox.claims, Array(4).fill([TYPES, 200, 60]));
  assert.equal(Object.keys(outbox.records).length, 4);
});

Deno.test("stops claiming after 75 s", async () => {
  const endless = new FakeOutbox([]);
  let now = NOW;
  let number = 0;
  endless.claim = () => {
    now += 25_000;
    return Promise.resolve([delivery(++number)]);
  };
  const { woken } = build([], { outbox: endless, now: () => now });
  assert.equal((await woken()).claimed, 3);
});

Deno.test("posts at most fifty at a time", async () => {
  const { woken, seen } = build([rows(200)]);
  assert.equal((await woken()).delivered, 200);
  assert.equal(seen.most, 50);
});

Deno.test("the next are claimed while posts are under way", async () => {
  const patience = Promise.withResolvers<void>();
  await served(async (connection) => {
    await patience.promise;
    await say(connection, "HTTP/1.1 200 OK\r\n\r\n");
  }, async ({ url, port }) => {
    const network = { ...pretended(port), connect: (hostname: string) => Deno.connect({ hostname, port }) };
    const outbox = new FakeOutbox([
      rows(60, { url, allow_private: true }),
      rows(200, { url, allow_private: true }, 61),
    ]);
    const { woken } = build([], { network, outbox });
    const answer = woken();
    while (outbox.claims.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(outbox.claims.length, 2, "what waits is enough");
    assert.deepEqual(outbox.batches, []);
    patience.resolve();
    assert.deepEqual(await answer, { claimed: 260, delivered: 260, failed: 0 });
  });
});

Deno.test("nothing is claimed ahead while what was claimed only waits", async () => {
  const patience = Promise.withResolvers<void>();
  let now = NOW;
  await served(async (connection) => {
    await patience.promise;
    await say(connection, "HTTP/1.1 200 OK\r\n\r\n");
  }, async ({ url, port }) => {
    const network = { ...pretended(port), connect: (hostname: string) => Deno.connect({ hostname, port }) };
    const outbox = new FakeOutbox([rows(60, { url, allow_private: true }), rows(10, { url, allow_private: true }, 61)]);
    const claim = outbox.claim.bind(outbox);
    outbox.claim = async (...what) => {
      const found = await claim(...what);
      now += 7000; // the lease is 60 s
      return found;
    };
    const { woken } = build([], { network, outbox, now: () => now });
    const answer = woken();
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(outbox.claims.length, 1);
    patience.resolve();
    assert.deepEqual(await answer, { claimed: 70, delivered: 70, failed: 0 });
  });
});

Deno.test("a run keeps its connections for the next posts, and closes them at its end", async () => {
  await received(async ({ url, port, ended, ...server }) => {
    const network = { ...pretended(port), connect: (hostname: string) => Deno.connect({ hostname, port }) };
    const { woken } = build([rows(200, { url, allow_private: true })], { network });
    assert.deepEqual(await woken(), { claimed: 200, delivered: 200, failed: 0 });
    assert.equal(server.requests(), 200);
    assert.ok(server.connections() <= 50, `${server.connections()} connections`);
    await ended();
  });
});

Deno.test("a failing delivery stops no other and says nothing secret", async () => {
  const { network } = answers({
    "two.test": 500,
    "three.test": 302,
    "four.test": new TypeError(`error connecting, secret ${SECRET}`),
    "six.test": 410,
  });
  const at = (number: number, name: string) => delivery(number, { url: `https://${name}.test/path-of-the-owner` });
  const broken = [delivery(7, { secrets: [] }), delivery(8, { secrets: ["whsec_no base64"] })];
  const batch = [delivery(1), at(2, "two"), at(3, "three"), at(4, "four"), ...broken, at(6, "six"), delivery(9)];
  const { woken, outbox, lines } = build([batch], { network });
  assert.deepEqual(await woken(), { claimed: 8, delivered: 2, failed: 6 });
  const failed = (status: number | null, error: string) => ({ status, error, retry_after_seconds: null });
  const delivered = { status: 200, error: null, retry_after_seconds: null };
  assert.deepEqual(outbox.records, {
    1: delivered,
    2: failed(500, "Answered 500."),
    3: failed(302, "Answered 302; redirects are not followed."),
    4: failed(null, "The endpoint could not be reached."),
    6: failed(410, "Answered 410."),
    7: failed(null, "The endpoint has no secret that could sign."),
    8: failed(null, "The endpoint has no secret that could sign."),
    9: delivered,
  });
  assert.equal(lines.length, 6);
  const said = JSON.stringify([outbox.batches, lines]);
  for (const hidden of [SECRET, "no base64", WAKE_SECRET, "own words", "of-the-owner"]) {
    assert.ok(!said.includes(hidden));
  }
});

Deno.test("records a hundred at a time, and what is done while others are slow", async () => {
  const patience = Promise.withResolvers<void>();
  await served(async (connection, request) => {
    if (request.startsWith("POST /slow")) await patience.promise;
    await say(connection, "HTTP/1.1 200 OK\r\n\r\n");
  }, async ({ url, port }) => {
    const slow = delivery(500, { url: `${url}/slow`, allow_private: true });
    const network = { ...pretended(port), connect: (hostname: string) => Deno.connect({ hostname, port }) };
    const outbox = new FakeOutbox([[slow, ...rows(230, { url, allow_private: true })]]);
    const { woken } = build([], { network, outbox });
    const answer = woken();
    while (outbox.batches.flat().length < 230) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.ok(Math.max(...outbox.batches.map((batch) => batch.length)) <= 100);
    assert.ok(outbox.batches.length <= 5, "many reports share a call");
    patience.resolve();
    assert.deepEqual(await answer, { claimed: 231, delivered: 231, failed: 0 });
  });
});

Deno.test("a report holds the attempt and how long it took", async () => {
  const { woken, outbox } = build([[delivery(1, { attempt: 7 })]]);
  await woken();
  const [[{ duration_ms, ...report }]] = outbox.batches;
  const { delivery_id } = delivery(1);
  assert.deepEqual(report, { delivery_id, attempt: 7, status: 200, error: null, retry_after_seconds: null });
  assert.ok(duration_ms >= 0 && duration_ms < 2000);
});

Deno.test("a report that did not get through is sent once more", async () => {
  const outbox = new FakeOutbox([rows(3)]);
  const record = outbox.record.bind(outbox);
  let calls = 0;
  outbox.record = (reports: Report[]) => ++calls === 1 ? Promise.reject(new Error("restarting")) : record(reports);
  const { woken, lines } = build([], { outbox });
  assert.deepEqual(await woken(), { claimed: 3, delivered: 3, failed: 0 });
  assert.deepEqual([calls, outbox.batches.length, lines], [2, 1, []]);
});

Deno.test("deliveries that cannot be recorded count as failed and stop no other", async () => {
  const outbox = new FakeOutbox([rows(150)]);
  const record = outbox.record.bind(outbox);
  outbox.record = (reports: Report[]) =>
    reports.length === 100 ? Promise.reject(new Error("no connection")) : record(reports);
  const { woken, lines } = build([], { outbox });
  assert.deepEqual(await woken(), { claimed: 150, delivered: 50, failed: 100 });
  assert.equal(lines.length, 100);
  assert.match(lines[0], /^[0-9-]{36}, attempt 1: not recorded: no connection$/);
});

Deno.test("an endpoint that leaves three attempts without an answer is left alone for the run", async () => {
  await served((connection, request) => {
    if (request.startsWith("POST /good")) return say(connection, "HTTP/1.1 200 OK\r\n\r\n");
    return new Promise((resolve) => setTimeout(resolve, 600));
  }, async (server) => {
    const network = { ...pretended(0), connect: (hostname: string, port: number) => Deno.connect({ hostname, port }) };
    const silent = rows(100, { url: `${server.url}/silent`, allow_private: true });
    const good = rows(100, { url: `${server.url}/good`, allow_private: true }, 101);
    // A lease of 2 s gives an attempt half a second; the fake clock never ends the lease.
    const { woken, outbox, lines } = build([silent, good], { network, leaseSeconds: 2 });
    assert.deepEqual(await woken(), { claimed: 200, delivered: 100, failed: 100 });
    assert.ok(server.connections <= 152, `${server.connections} connections`);
    assert.equal(outbox.records[1].error, "No answer within 0.5 s.");
    assert.equal(outbox.records[100].error, "Not tried: 3 attempts before it got no answer in time.");
    assert.equal(lines.length, 100);
  });
});

Deno.test("no attempt begins in the last third of its lease", async () => {
  let now = NOW;
  const { seen, network } = answers();
  const outbox = new FakeOutbox([rows(60)]);
  const resolve = network.resolve;
  let asked = 0;
  network.resolve = (host, type) => {
    if (++asked === 100) now += 40_000; // the fifty that began first have asked for two records each
    return resolve(host, type);
  };
  const { woken } = build([], { network, outbox, now: () => now });
  assert.deepEqual(await woken(), { claimed: 60, delivered: 50, failed: 10 });
  assert.equal(seen.calls, 50);
  assert.equal(outbox.batches.flat().length, 50);
});

Deno.test("wake-ups that come together share one run, and one more look", async () => {
  const { handle, outbox } = build([rows(3)]);
  const claim = outbox.claim.bind(outbox);
  outbox.claim = async (...what) => {
    const found = await claim(...what);
    // All signatures are checked meanwhile.
    if (outbox.claims.length === 1) await new Promise((resolve) => setTimeout(resolve, 100));
    return found;
  };
  const bodies = await Promise.all(
    Array.from({ length: 20 }, async () => await (await handle(wake())).json()),
  );
  assert.deepEqual(bodies, Array(20).fill({ claimed: 3, delivered: 3, failed: 0 }));
  assert.ok(outbox.claims.length <= 6, `${outbox.claims.length} claims`);
  outbox.due.push(rows(2, {}, 4));
  assert.deepEqual(await (await handle(wake())).json(), { claimed: 2, delivered: 2, failed: 0 });
});

Deno.test("what is committed while the outbox is asked is found by the wake-up that tells of it", async () => {
  const outbox = new FakeOutbox([]);
  const claim = outbox.claim.bind(outbox);
  const asked = Promise.withResolvers<void>();
  const answered = Promise.withResolvers<void>();
  outbox.claim = async (...what) => {
    const found = await claim(...what);
    asked.resolve();
    if (outbox.claims.length === 1) await answered.promise;
    return found;
  };
  const { handle } = build([], { outbox });
  const first = handle(wake());
  await asked.promise;
  outbox.due.push(rows(1));
  const second = handle(wake());
  await new Promise((resolve) => setTimeout(resolve, 20)); // its signature is checked meanwhile
  answered.resolve();
  assert.equal((await (await second).json()).delivered, 1);
  assert.equal((await first).status, 200);
});

Deno.test("an outbox out of reach is a 503 without details, and no reason to stay so", async () => {
  const outbox = new FakeOutbox([rows(1)]);
  const claim = outbox.claim.bind(outbox);
  outbox.claim = () => Promise.reject(new Error("password of the database"));
  const { handle, lines } = build([], { outbox });
  const answer = await handle(wake());
  assert.equal(answer.status, 503);
  assert.ok(!(await answer.text()).includes("password"));
  assert.deepEqual(lines, ["the outbox could not be read: password of the database"]);
  outbox.claim = claim;
  assert.equal((await handle(wake())).status, 200);
});

Deno.test("a wake-up does not join a run that has failed", async () => {
  const patience = Promise.withResolvers<void>();
  await served(async (connection) => {
    await patience.promise;
    await say(connection, "HTTP/1.1 200 OK\r\n\r\n");
  }, async ({ url, port }) => {
    const outbox = new FakeOutbox([rows(1, { url, allow_private: true })]);
    const claim = outbox.claim.bind(outbox);
    outbox.claim = async (...what) => {
      const found = await claim(...what);
      if (outbox.claims.length === 2) throw new Error("restarting");
      return found;
    };
    const { handle } = build([], { outbox, network: pretended(port) });
    const first = handle(wake());
    while (outbox.claims.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal((await handle(wake())).status, 200);
    patience.resolve();
    assert.equal((await first).status, 503);
  });
});

Deno.test("the outbox is reached through the Data API by the names agreed", async () => {
  const calls: [string, string | null, unknown][] = [];
  const row = delivery(1);
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    calls.push([new URL(request.url).pathname, request.headers.get("apikey"), await request.json()]);
    if (request.url.includes("claim")) return Response.json([row]);
    return Response.json({ code: "PT400", message: "no such" }, { status: 400 });
  });
  const options = { auth: { persistSession: false, autoRefreshToken: false } };
  const outbox = databaseOutbox(createClient(`http://127.0.0.1:${server.addr.port}`, "sb_secret_test", options));
  const report = {
    delivery_id: row.delivery_id,
    attempt: 1,
    status: null,
    error: "why",
    retry_after_seconds: 3,
    duration_ms: 5,
  };
  assert.deepEqual(await outbox.claim(TYPES, 20, 60), [row]);
  await assert.rejects(outbox.record([report]), { message: "record_webhook_deliveries: PT400 no such" });
  await server.shutdown();
  assert.deepEqual(calls, [
    ["/rest/v1/rpc/claim_webhook_deliveries", "sb_secret_test", { event_types: TYPES, limit: 20, lease_seconds: 60 }],
    ["/rest/v1/rpc/record_webhook_deliveries", "sb_secret_test", { reports: [report] }],
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
