import assert from "node:assert/strict";

import { network } from "../_shared/connect.ts";
import { Connections, IDLE, MOST_IDLE } from "../_shared/connections.ts";
import type { Delivery } from "../_shared/outbox.ts";
import { post } from "../_shared/post.ts";
import { delivery, NOW, pretended, received, say, served } from "./deliveries.ts";

/** A post that may take a kept connection, and leave one. */
async function sent(connections: Connections, changes: Partial<Delivery>, through = network) {
  const outcome = await post(delivery(1, { allow_private: true, ...changes }), through, NOW, 2000, connections);
  await new Promise((resolve) => setTimeout(resolve, 5)); // what is left of the answer is read meanwhile
  return outcome.status ?? outcome.error;
}

async function closing(use: (connections: Connections) => Promise<void>, now?: () => number): Promise<void> {
  const connections = new Connections(now);
  try {
    await use(connections);
  } finally {
    connections.close();
  }
}

Deno.test("posts to one origin share a connection, whatever the path", async () => {
  await received(({ url, ...server }) =>
    closing(async (connections) => {
      for (const path of ["a", "a", "b"]) assert.equal(await sent(connections, { url: `${url}/${path}` }), 200);
      assert.deepEqual([server.requests(), server.connections()], [3, 1]);
    })
  );
});

Deno.test("a connection into a private network never serves what may not go there", async () => {
  await received(({ port, ...server }) =>
    closing(async (connections) => {
      const url = `https://receiver.test:${port}/`;
      const plain = pretended(port);
      assert.equal(await sent(connections, { url, allow_private: true }, plain), 200);
      assert.equal(await sent(connections, { url, allow_private: false }, plain), 200);
      assert.equal(server.connections(), 2);
      assert.equal(await sent(connections, { url, allow_private: false }, plain), 200);
      assert.equal(server.connections(), 2);
      const lost = pretended(port, { resolve: () => Promise.resolve(["127.0.0.1"]) });
      const other = `https://receiver.test.evil.test:${port}/`;
      for (const refused of [other, url.replace("//", "//user@"), url.replace("https", "http")]) {
        assert.match(
          String(await sent(connections, { url: refused, allow_private: false }, lost)),
          /not public|user|https/,
        );
      }
      assert.equal(server.requests(), 3);
    })
  );
});

Deno.test("one port's connection is not the other's", async () => {
  await received((one) =>
    received((other) =>
      closing(async (connections) => {
        for (const { url } of [one, other, one, other]) assert.equal(await sent(connections, { url }), 200);
        assert.deepEqual([one.connections(), other.connections()], [1, 1]);
      })
    )
  );
});

Deno.test("a connection that waited too long is closed", async () => {
  let now = 0;
  await received(({ url, ...server }) =>
    closing(async (connections) => {
      for (const wait of [0, IDLE - 1, IDLE]) {
        now += wait;
        assert.equal(await sent(connections, { url }), 200);
      }
      assert.equal(server.connections(), 2);
    }, () => now)
  );
});

Deno.test("a receiver that hung up meanwhile is called anew", async () => {
  await served(
    (connection) => say(connection, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
    (server) =>
      closing(async (connections) => {
        for (let post = 1; post <= 3; post++) assert.equal(await sent(connections, { url: server.url }), 200);
        assert.equal(server.connections, 3);
      }),
  );
});

Deno.test("an answer that breaks off is a failure over a kept connection too, and not asked for again", async () => {
  let requests = 0;
  await served(async (connection) => {
    requests += 1;
    await say(connection, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    if (await connection.read(new Uint8Array(65_536)) === null) return;
    requests += 1;
    await say(connection, "HTTP/1.1 2");
  }, ({ url }) =>
    closing(async (connections) => {
      assert.equal(await sent(connections, { url }), 200);
      assert.equal(await sent(connections, { url }), "The connection broke before there was an answer.");
      assert.equal(requests, 2);
    }));
});

const KEPT: Record<string, [string, number]> = {
  "no body": ["HTTP/1.1 204 No Content\r\n\r\n", 1],
  "a refusal": ["HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\nno", 1],
  "a body without length": ["HTTP/1.1 200 OK\r\n\r\nok", 2],
  "a body in chunks": ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 2],
  "chunks and a length": ["HTTP/1.1 200 OK\r\ncontent-length: 0\r\ntransfer-encoding: chunked\r\n\r\n", 2],
  "two lengths": ["HTTP/1.1 200 OK\r\ncontent-length: 0\r\ncontent-length: 2\r\n\r\nok", 2],
  "more than was asked for": ["HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", 2],
  "a long body": ["HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", 2],
  "a goodbye": ["HTTP/1.1 200 OK\r\nconnection: Close\r\ncontent-length: 0\r\n\r\n", 2],
  "HTTP/1.0": ["HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", 2],
};

for (const [name, [answer, expected]] of Object.entries(KEPT)) {
  Deno.test(`two posts take ${expected} connections after: ${name}`, async () => {
    await received(({ url, ...server }) =>
      closing(async (connections) => {
        for (let post = 1; post <= 2; post++) assert.equal(typeof await sent(connections, { url }), "number");
        assert.equal(server.connections(), expected);
      }), answer);
  });
}

Deno.test("a body that comes later is read away, one that never comes delays nothing", async () => {
  const late = Promise.withResolvers<void>();
  let taken = 0;
  await served(async (connection, request) => {
    taken += 1;
    const buffer = new Uint8Array(65_536);
    let path: string | undefined = request;
    while (path) {
      await say(connection, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n");
      if (path.startsWith("POST /never")) {
        if (await connection.read(buffer) === null) late.resolve();
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
      await say(connection, "ok");
      const read = await connection.read(buffer);
      path = read === null ? undefined : new TextDecoder().decode(buffer.subarray(0, read));
    }
  }, ({ url }) =>
    closing(async (connections) => {
      assert.equal(await sent(connections, { url: `${url}/later` }), 200);
      await new Promise((resolve) => setTimeout(resolve, 50));
      const started = performance.now();
      assert.equal(await sent(connections, { url: `${url}/never` }), 200);
      assert.ok(performance.now() - started < 150);
      assert.equal(taken, 1);
      await late.promise; // closed by the clock
    }));
});

Deno.test("no more are kept than agreed, and none when all is over", async () => {
  const closed: number[] = [];
  const planted = (number: number) => ({ close: () => void closed.push(number) }) as unknown as Deno.Conn;
  const connections = new Connections();
  const url = new URL("https://receiver.test/");
  for (let number = 0; number <= MOST_IDLE; number++) await connections.keep(url, false, planted(number), 0);
  assert.deepEqual(closed, [0]);
  connections.close();
  assert.equal(closed.length, MOST_IDLE + 1);
  await connections.keep(url, false, planted(1000), 0);
  assert.equal(closed.at(-1), 1000);
  assert.equal(connections.take(url, false), undefined);
});
