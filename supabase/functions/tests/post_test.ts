import assert from "node:assert/strict";

import { Webhook } from "standardwebhooks";

import { network } from "../_shared/connect.ts";
import { post, secondsUntil } from "../_shared/post.ts";
import { BODY, delivery, NOW, pretended, PUBLIC, say, SECRET, served } from "./deliveries.ts";

const OTHER_SECRET = `whsec_${btoa("fedcba9876543210fedcba9876543210")}`;

/** The outcome of one post to a server that answers with `answer`, without how long it took. */
async function outcomeOf(answer: string, timeout = 2000) {
  let outcome;
  await served((connection) => say(connection, answer), async ({ url }) => {
    outcome = await told(post(delivery(1, { url, allow_private: true }), network, NOW, timeout));
  });
  return outcome;
}

async function told(outcome: ReturnType<typeof post>) {
  const { duration_ms, ...rest } = await outcome;
  assert.ok(Number.isInteger(duration_ms) && duration_ms >= 0);
  return rest;
}

function failed(error: string) {
  return { status: null, error, retry_after_seconds: null };
}

Deno.test("a receiver verifies the exact body with the library of the standard, with the new secret and the old", async () => {
  const now = Date.now(); // the library compares with the real clock
  let request = "";
  await served((connection, text) => {
    request = text;
    return say(connection, "HTTP/1.1 204 No Content\r\n\r\n");
  }, async ({ port }) => {
    const row = delivery(1, { url: `https://receiver.test:${port}/a%20b?c=먹`, secrets: [OTHER_SECRET, SECRET] });
    assert.deepEqual(await told(post(row, pretended(port), now, 2000)), {
      status: 204,
      error: null,
      retry_after_seconds: null,
    });
    const [head, body] = request.split("\r\n\r\n");
    const [first, ...lines] = head.split("\r\n");
    const headers = Object.fromEntries(lines.map((line) => line.split(": ", 2)));
    assert.equal(first, "POST /a%20b?c=%EB%A8%B9 HTTP/1.1");
    assert.equal(body, BODY);
    assert.deepEqual(headers, {
      host: `receiver.test:${port}`,
      "content-type": "application/json",
      "user-agent": "Ondol",
      "webhook-id": "msg_1",
      "webhook-timestamp": String(Math.floor(now / 1000)),
      "webhook-signature": headers["webhook-signature"],
      "content-length": String(new TextEncoder().encode(BODY).byteLength),
      connection: "close",
    });
    for (const secret of [OTHER_SECRET, SECRET]) {
      assert.deepEqual(new Webhook(secret).verify(body, headers), JSON.parse(BODY));
    }
  });
});

const ANSWERS: Record<string, [string, number | null, string | null, number | null]> = {
  "200 whose body breaks off": ["HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort", 200, null, null],
  "200 of HTTP/1.0 without a reason": ["HTTP/1.0 200\r\n\r\n", 200, null, null],
  "200 after 100 and 103": [
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 E\r\na: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    200,
    null,
    null,
  ],
  "200 with headers that are none": ["HTTP/1.1 200 OK\r\nno header\r\n먹: 1\r\n: x\r\n\r\n", 200, null, null],
  "a redirect": ["HTTP/1.1 301 M\r\nlocation: /x\r\n\r\n", 301, "Answered 301; redirects are not followed.", null],
  "gone": ["HTTP/1.1 410 Gone\r\n\r\n", 410, "Answered 410.", null],
  "429 and when to come back": ["HTTP/1.1 429 Slow\r\nRetry-After: 7\r\n\r\n", 429, "Answered 429.", 7],
  "503 and a date": ["HTTP/1.1 503 No\r\nretry-after: Sat, 21 Nov 2026 03:01:00 GMT\r\n\r\n", 503, "Answered 503.", 60],
  "503 and nonsense": ["HTTP/1.1 503 No\r\nretry-after: -1\r\n\r\n", 503, "Answered 503.", null],
  "no answer at all": ["", null, "The connection broke before there was an answer.", null],
  "half a head": ["HTTP/1.1 200 OK\r\ncontent-", null, "The connection broke before there was an answer.", null],
  "only a promise": ["HTTP/1.1 100 Continue\r\n\r\n", null, "The connection broke before there was an answer.", null],
  "another protocol": ["SSH-2.0-OpenSSH\r\n\r\n", null, "The answer is no HTTP.", null],
  "a status beyond the protocol": ["HTTP/1.1 600 X\r\n\r\n", null, "The answer is no HTTP.", null],
  "a head without end": [
    `HTTP/1.1 200 OK\r\nx: ${"x".repeat(17_000)}`,
    null,
    "The head of the answer is too long.",
    null,
  ],
};

for (const [name, [answer, status, error, retry_after_seconds]] of Object.entries(ANSWERS)) {
  Deno.test(`an answer is understood: ${name}`, async () => {
    assert.deepEqual(await outcomeOf(answer), { status, error, retry_after_seconds });
  });
}

Deno.test("a head that comes byte by byte is put together", async () => {
  await served(async (connection) => {
    for (const byte of "HTTP/1.1 429 X\r\nRetry-After: 5\r\n\r\n") await say(connection, byte);
  }, async ({ url }) => {
    const outcome = await post(delivery(1, { url, allow_private: true }), network, NOW, 2000);
    assert.deepEqual([outcome.status, outcome.retry_after_seconds], [429, 5]);
  });
});

Deno.test("a body of a megabyte arrives whole", async () => {
  const body = JSON.stringify("먹".repeat(350_000));
  const size = new TextEncoder().encode(body).byteLength;
  let received = 0;
  await served(async (connection, start) => {
    received = new TextEncoder().encode(start.split("\r\n\r\n")[1]).byteLength;
    const buffer = new Uint8Array(65_536);
    while (received < size) received += await connection.read(buffer) ?? Infinity;
    await say(connection, "HTTP/1.1 200 OK\r\n\r\n");
  }, async ({ url }) => {
    assert.equal((await post(delivery(1, { url, body, allow_private: true }), network, NOW, 5000)).status, 200);
  });
  assert.ok(Math.abs(received - size) < 4, `${received} of ${size}`); // the first read may have cut a character
});

Deno.test("a request that leaves in pieces arrives whole", async () => {
  let sent = "";
  const narrow = {
    write: (bytes: Uint8Array) => {
      const part = bytes.subarray(0, 10);
      sent += new TextDecoder("latin1").decode(part);
      return Promise.resolve(part.byteLength);
    },
    read: (buffer: Uint8Array) =>
      Promise.resolve(new TextEncoder().encodeInto("HTTP/1.1 200 OK\r\n\r\n", buffer).written),
    close: () => {},
  } as unknown as Deno.Conn;
  const through = pretended(0, { connect: () => Promise.resolve(narrow) });
  assert.equal((await post(delivery(1, { body: "x".repeat(500) }), through, NOW, 2000)).status, 200);
  assert.ok(sent.endsWith(`\r\n\r\n${"x".repeat(500)}`));
});

Deno.test({
  name: "a post that is over leaves no timer behind",
  sanitizeOps: true,
  sanitizeResources: true,
  fn: async () => {
    const down = pretended(0, { connect: () => Promise.reject(new Error("down")) });
    assert.equal((await post(delivery(1), down, NOW, 60_000)).error, "The endpoint could not be reached.");
  },
});

Deno.test("Retry-After is understood in each of its forms", () => {
  const date = (header: string) => secondsUntil(header, Date.parse("1994-11-06T08:49:07.500Z"));
  assert.equal(date("Sun, 06 Nov 1994 08:49:37 GMT"), 30);
  assert.equal(date("Sunday, 06-Nov-94 08:49:37 GMT"), 30);
  assert.equal(date("Sun Nov  6 08:49:37 1994 GMT"), 30);
  assert.equal(date("Sun, 06 Nov 1994 08:49:00 GMT"), 0);
  for (const header of ["", "-1", "1.5", "soon", "Sun, 99 Nov 1994", "1e9", "1".repeat(10)]) {
    assert.equal(date(header), null);
  }
  assert.equal(date("0"), 0);
  assert.equal(secondsUntil(null, NOW), null);
});

Deno.test("an endpoint without a secret that signs is not called", async () => {
  await served(() => {}, async (server) => {
    for (const secrets of [[], ["whsec_no base64"], [SECRET, "whsec_no base64"]]) {
      const row = delivery(1, { url: server.url, secrets, allow_private: true });
      assert.deepEqual(await told(post(row, network, NOW, 500)), failed("The endpoint has no secret that could sign."));
    }
    assert.equal(server.connections, 0);
  });
});

Deno.test("an endpoint that says nothing is given up and its connection closed", async () => {
  const closed = Promise.withResolvers<number | null>();
  await served(async (connection) => {
    closed.resolve(await connection.read(new Uint8Array(1)));
  }, async ({ url }) => {
    const outcome = await post(delivery(1, { url, allow_private: true }), network, NOW, 50);
    assert.equal(outcome.error, "No answer within 0.05 s.");
    assert.ok(outcome.duration_ms >= 49 && outcome.duration_ms < 1000);
    assert.equal(await closed.promise, null);
  });
});

Deno.test("a connection that comes too late is closed", async () => {
  await served(() => {}, async ({ port }) => {
    let connection: Deno.Conn | undefined;
    const slow = pretended(port, {
      connect: async () => {
        await new Promise((resolve) => setTimeout(resolve, 100));
        return connection = await Deno.connect({ hostname: "127.0.0.1", port });
      },
    });
    assert.deepEqual(await told(post(delivery(1), slow, NOW, 20)), failed("No answer within 0.02 s."));
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.throws(() => connection!.close(), Deno.errors.BadResource);
  });
});

Deno.test("an endpoint that is down, a name that is unknown and a broken handshake are told apart", async () => {
  let port = 0;
  await served(() => {}, (server) => {
    port = server.port;
    return Promise.resolve();
  });
  const down = delivery(1, { url: `http://127.0.0.1:${port}/`, allow_private: true });
  assert.deepEqual(await told(post(down, network, NOW, 2000)), failed("The endpoint could not be reached."));
  const unknown = pretended(port, { resolve: () => Promise.reject(new Deno.errors.NotFound()) });
  assert.deepEqual(await told(post(delivery(1), unknown, NOW, 2000)), failed("The name could not be resolved."));
  await served((connection) => say(connection, "HTTP/1.1 400 This is no TLS\r\n\r\n"), async ({ port }) => {
    const real = pretended(port, { secure: network.secure });
    assert.deepEqual(await told(post(delivery(1), real, NOW, 2000)), failed("The TLS handshake failed."));
  });
});

Deno.test("the next address is called when one is down, three at most", async () => {
  await served((connection) => say(connection, "HTTP/1.1 200 OK\r\n\r\n"), async ({ port }) => {
    const called: string[] = [];
    const addresses = ["1.0.0.1", "1.0.0.2", "1.0.0.3", "1.0.0.4"];
    const down = (good: string) =>
      pretended(port, {
        resolve: (_host, type) => Promise.resolve(type === "A" ? addresses : []),
        connect: (address) => {
          called.push(address);
          if (address !== good) return Promise.reject(new Deno.errors.ConnectionRefused());
          return Deno.connect({ hostname: "127.0.0.1", port });
        },
      });
    assert.equal((await post(delivery(1), down("1.0.0.3"), NOW, 2000)).status, 200);
    assert.equal((await post(delivery(1), down("1.0.0.4"), NOW, 2000)).error, "The endpoint could not be reached.");
    assert.deepEqual(called, ["1.0.0.1", "1.0.0.2", "1.0.0.3", "1.0.0.1", "1.0.0.2", "1.0.0.3"]);
  });
});

Deno.test("what was looked at is what is called and whose certificate is asked for", async () => {
  await served((connection) => say(connection, "HTTP/1.1 200 OK\r\n\r\n"), async ({ port }) => {
    const called: unknown[] = [];
    // A name that is public when asked for once and private ever after.
    const answers = [[PUBLIC], []];
    const rebinding = pretended(port, {
      resolve: (host, type) => (called.push([host, type]), Promise.resolve(answers.shift() ?? ["127.0.0.1"])),
      connect: (...where) => (called.push(where), Deno.connect({ hostname: "127.0.0.1", port })),
      secure: (connection, host) => (called.push(host), Promise.resolve(connection)),
    });
    assert.equal((await post(delivery(1, { url: "https://rebound.test:8443/" }), rebinding, NOW, 2000)).status, 200);
    assert.deepEqual(called, [["rebound.test", "A"], ["rebound.test", "AAAA"], [PUBLIC, 8443], "rebound.test"]);
    assert.equal((await post(delivery(1), rebinding, NOW, 2000)).status, null);
    assert.equal(called.length, 6);
  });
});

const REFUSED: Record<string, [string, string[], string[], string]> = {
  "http": ["http://receiver.test/", [PUBLIC], [], "Only https is spoken."],
  "another scheme": ["ftp://receiver.test/", [PUBLIC], [], "Only https is spoken."],
  "a user's name": ["https://user@receiver.test/", [PUBLIC], [], "The address holds a user's name."],
  "no URL": ["https://", [PUBLIC], [], "The address is no URL."],
  "an address, even a public one": [`https://${PUBLIC}/`, [], [], "The host is an address, not a name."],
  "an address in other words": ["https://0x7f.1/", [], [], "The host is an address, not a name."],
  "an address of IPv6": ["https://[::1]/", [], [], "The host is an address, not a name."],
  "one private address among public ones": [
    "https://receiver.test/",
    [PUBLIC, "10.0.0.1"],
    [],
    "The name leads to an address that is not public.",
  ],
  "a private address of IPv6 beside a public one of IPv4": [
    "https://receiver.test/",
    [PUBLIC],
    ["::1"],
    "The name leads to an address that is not public.",
  ],
  "no address": ["https://receiver.test/", [], [], "The name could not be resolved."],
};

for (const [name, [url, ipv4, ipv6, error]] of Object.entries(REFUSED)) {
  Deno.test(`nothing is connected to: ${name}`, async () => {
    await served(() => {}, async (server) => {
      const guarded = pretended(server.port, { resolve: (_, type) => Promise.resolve(type === "A" ? ipv4 : ipv6) });
      assert.deepEqual(await told(post(delivery(1, { url }), guarded, NOW, 2000)), failed(error));
      assert.equal(server.connections, 0);
    });
  });
}
