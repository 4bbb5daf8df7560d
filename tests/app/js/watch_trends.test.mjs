// The recipe of docs/realtime.md: every trend once and in order, a handler that throws, and the end of it.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { after, test } from "node:test";

import { createClient } from "@supabase/supabase-js";
import ws from "ws";

const { SUPABASE_URL, SUPABASE_PUBLISHABLE_KEY, SUPABASE_SECRET_KEY } = process.env;
const WITHIN_MS = 10_000;
const QUIET_MS = 500;

// supabase-js leaves a timer of ten seconds behind each disconnect: timers must not keep this process alive.
const { setTimeout: start } = globalThis;
globalThis.setTimeout = (...given) => start(...given).unref();
const pause = (milliseconds) => new Promise((resolve) => start(resolve, milliseconds));

const page = await readFile(new URL("../../../docs/realtime.md", import.meta.url), "utf8");
const [recipe, listThenWatch] = [...page.matchAll(/^```js\n(.*?)^```/gms)].map(([, block]) => block);
const { watchTrends } = await import(`data:text/javascript,${encodeURIComponent(recipe)}`);

const options = { auth: { persistSession: false, autoRefreshToken: false }, realtime: { transport: ws } };
const admin = createClient(SUPABASE_URL, SUPABASE_SECRET_KEY, options);
const visitor = createClient(SUPABASE_URL, SUPABASE_PUBLISHABLE_KEY, options);
const mark = `j${randomUUID().slice(0, 8)} `;

async function ok(request) {
    const { data, error } = await request;
    assert.ifError(error);
    return data;
}

const position = async () => (await ok(visitor.rpc("trends_since"))).cursor;
const insert = (...names) =>
    ok(admin.from("trending_keywords").insert(names.map((name) => ({ keyword: mark + name, trend_score: 0.5 }))));

async function until(isSo) {
    const deadline = Date.now() + WITHIN_MS;
    while (!isSo() && Date.now() < deadline) await pause(10);
    assert.ok(isSo(), "not within 10 s");
}

/** Watch from `cursor` on; `seen` has this test's trends, `ready` resolves when messages arrive. */
async function watch(client, given = {}) {
    const seen = [];
    const take = (trend) => trend.keyword.startsWith(mark) && seen.push(trend);
    const end = watchTrends(client, given.onTrend ?? take, { cursor: await position(), ...given });
    const { channels } = client.realtime;
    await until(() => channels.some((channel) => channel.state === "joined"));
    return { seen, end };
}

after(async () => {
    const alive = setInterval(() => {}, QUIET_MS);
    await ok(admin.from("trending_keywords").delete().like("keyword", `${mark}%`));
    for (const client of [admin, visitor]) client.realtime.disconnect();
    clearInterval(alive);
});

test("S-178: a visitor sees what everybody may know, the service the row; each trend once and in order", async () => {
    const before = await position();
    await insert("a", "b");
    const limited = await watch(visitor, { cursor: before });
    const whole = await watch(admin, { cursor: before, topic: "trends:premium" });
    await insert("c");
    await insert("d", "e");
    for (const { seen } of [limited, whole]) {
        await until(() => seen.length >= 5);
        await pause(QUIET_MS);
        const cursors = seen.map(({ cursor }) => cursor);
        assert.deepEqual(cursors, [...cursors].sort((one, other) => one - other));
        assert.deepEqual([...new Set(seen.map(({ keyword }) => keyword))].sort(), [..."abcde"].map((name) => mark + name));
        assert.equal(seen.length, 5);
    }
    assert.ok(limited.seen.every((trend) => !("hourly_trend_data" in trend)));
    assert.ok(whole.seen.every((trend) => "hourly_trend_data" in trend));
    await limited.end();
    await whole.end();
});

test("a trend whose handler throws is handled again, and none is passed over", async () => {
    const handled = [];
    const problems = [];
    let failures = 2;
    const onTrend = ({ keyword }) => {
        if (keyword === `${mark}g` && failures-- > 0) throw new Error("not now");
        if (keyword.startsWith(mark)) handled.push(keyword);
    };
    const { end } = await watch(visitor, { onTrend, onError: (error) => problems.push(error.message), retryMs: 20 });
    for (const name of "fgh") await insert(name);
    await until(() => handled.length >= 3);
    assert.deepEqual(handled, [`${mark}f`, `${mark}g`, `${mark}h`]);
    assert.deepEqual(problems, ["not now", "not now"]);
    await end();
});

test("a channel that the server closes is made again, and nothing is lost", async () => {
    const { seen, end } = await watch(visitor, { retryMs: 20 });
    const [channel] = visitor.realtime.channels;
    await channel.unsubscribe();
    await insert("i");
    await until(() => seen.length === 1);
    await insert("j");
    await until(() => seen.length === 2);
    await end();
});

test("a message that was lost last of all is fetched when it stays quiet", async () => {
    const { seen, end } = await watch(visitor, { topic: "trends", quietMs: 200 });
    visitor.realtime.channels[0].bindings.broadcast = []; // deaf from here on
    await insert("k");
    await until(() => seen.length === 1);
    await end();
});

test("beside a list no trend is lost between the cursor, the list and the subscription", async () => {
    const shown = [];
    const after = async (name, request) => {
        const answer = await request;
        await insert(name); // as if others were at work
        return answer;
    };
    const asked = new Proxy(visitor, {
        get: (client, name) =>
            name === "rpc" ? (of, ...given) => after(of, client.rpc(of, ...given)) : client[name].bind?.(client) ?? client[name],
    });
    const [begun, read] = ["trends_since", "trending_now"].map((name) => mark + name);
    const program = `${listThenWatch}\nreturn end;`;
    const Program = async function () {}.constructor;
    const take = ({ keyword }) => keyword.startsWith(mark) && shown.push(keyword);
    const end = await new Program("supabase", "watchTrends", "show", program)(
        asked, (_, ...given) => watchTrends(visitor, ...given), take,
    );
    await until(() => shown.includes(begun) && shown.includes(read));
    await end();
});

test("what is not kept is told, and after the end nothing comes", async () => {
    const missed = [];
    const { seen, end } = await watch(visitor, { cursor: 10 ** 12, onMissed: (cursor) => missed.push(cursor) });
    await until(() => missed.length === 1);
    assert.deepEqual(missed, [10 ** 12]);
    await end();
    await insert("l");
    await pause(QUIET_MS);
    assert.deepEqual(seen, []);
    assert.deepEqual(visitor.realtime.channels, []);
});
