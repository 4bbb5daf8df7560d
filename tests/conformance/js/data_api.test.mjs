// The Data API through supabase-js, against any Supabase that has the fixture objects of ../sql.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";

import { createClient } from "@supabase/supabase-js";
import ws from "ws";

const { SUPABASE_URL, SUPABASE_PUBLISHABLE_KEY, SUPABASE_SECRET_KEY } = process.env;
const PASSWORD = randomUUID();
const connect = (key) =>
    createClient(SUPABASE_URL, key, {
        auth: { persistSession: false, autoRefreshToken: false },
        realtime: { transport: ws },
    });
const anonymous = connect(SUPABASE_PUBLISHABLE_KEY);
const service = connect(SUPABASE_SECRET_KEY);
const member = connect(SUPABASE_PUBLISHABLE_KEY);
let person;

const videos = (client = anonymous) => client.from("conformance_videos");
const rows = async (query) => {
    const { data, error } = await query;
    assert.equal(error, null);
    return data;
};
const ids = async (query) => (await rows(query.order("id"))).map((row) => row.id);

before(async () => {
    const email = `conformance-${randomUUID()}@example.com`;
    const { data } = await service.auth.admin.createUser({ email, password: PASSWORD, email_confirm: true });
    person = data.user;
    await rows(member.auth.signInWithPassword({ email, password: PASSWORD }));
});

after(async () => {
    await service.auth.admin.deleteUser(person.id);
});

test("values", async () => {
    const [kind] = await rows(service.from("conformance_kinds").select().eq("id", 1));
    assert.equal(kind.at, "2026-11-21T07:47:15.78+00:00");
    assert.equal(kind.local_at, "2026-11-21T07:47:15");
    assert.equal(kind.ratio, "NaN");
    assert.equal(kind.raw, "\\x00ff10");
    assert.equal(kind.embedding, "[1,2,3]");
    assert.deepEqual(kind.place, { name: "attic", floor: 3 });
    assert.deepEqual(kind.places, [{ name: "attic", floor: 3 }, { name: null, floor: -1 }]);
    const [video] = await rows(videos().select("rating, published_at, details").eq("id", 1));
    assert.equal(video.rating, 12.5);
    assert.equal(video.published_at, "2026-01-02T03:04:05.678901+00:00");
    assert.deepEqual(video.details, { lang: "ko", size: { w: 9 }, sku: "007" });
});

test("filters", async () => {
    assert.deepEqual(await ids(videos().select("id").eq("views", 200)), [2]);
    assert.deepEqual(await ids(videos().select("id").neq("id", 1).neq("id", 2)), [3, 4]);
    assert.deepEqual(await ids(videos().select("id").in("title", ['a, "quoted" (title)', "cold roof"])), [2, 4]);
    assert.deepEqual(await ids(videos().select("id").is("rating", null)), [3]);
    assert.deepEqual(await ids(videos().select("id").not("rating", "is", null)), [1, 2, 4]);
    assert.deepEqual(await ids(videos().select("id").ilike("title", "%마루%")), [3]);
    assert.deepEqual(await ids(videos().select("id").eq("code", "007")), [1]);
    assert.deepEqual(await ids(videos().select("id").eq("code", "null")), [3]);
    assert.deepEqual(await ids(videos().select("id").contains("tags", ["warm"])), [1, 3]);
    assert.deepEqual(await ids(videos().select("id").overlaps("tags", ["floor", "roof"])), [1, 2]);
    assert.deepEqual(await ids(videos().select("id").contains("details", { size: { w: 9 } })), [1]);
    assert.deepEqual(await ids(videos().select("id").eq("details->>lang", "ko")), [1, 3]);
    assert.deepEqual(await ids(videos().select("id").or("id.eq.1,and(views.gt.250,views.lt.350)")), [1, 3]);
    assert.deepEqual(await ids(videos().select("id").or("id.eq.1,id.eq.2").or("views.eq.100,views.eq.300")), [1]);
    assert.deepEqual(await ids(videos().select("id").textSearch("title", "warm & floor")), [1]);
    assert.deepEqual(await ids(videos().select("id").textSearch("title", "cold roof", { type: "websearch" })), [2]);
    const period = service.from("conformance_kinds").select("id").overlaps("period", "[2026-01-01 12:00,2026-01-03)");
    assert.deepEqual(await ids(period), [1]);
});

test("order, pages and counts", async () => {
    const ordered = await rows(videos().select("id").order("rating", { ascending: false, nullsFirst: false }));
    assert.deepEqual(ordered.map((row) => row.id), [4, 1, 2, 3]);
    const page = await videos().select("id", { count: "exact" }).order("id").range(1, 2);
    assert.deepEqual([page.data, page.count, page.status], [[{ id: 2 }, { id: 3 }], 4, 206]);
    const head = await videos().select("*", { count: "exact", head: true }).gt("views", 100);
    assert.deepEqual([head.data, head.count], [null, 3]);
    const called = await anonymous.rpc("conformance_popular", { at_least: 200 }, { count: "exact", head: true });
    assert.equal(called.count, 3);
    for (const count of ["planned", "estimated"]) {
        // For the service only: an estimate is made of everybody's rows.
        const answer = await videos(service).select("id", { count }).limit(1);
        assert.equal(answer.error, null);
        assert.equal(typeof answer.count, "number");
    }
});

test("single, maybeSingle and csv", async () => {
    assert.deepEqual(await rows(videos().select("id").eq("id", 1).single()), { id: 1 });
    const many = await videos().select("id").single();
    assert.deepEqual([many.error.code, many.error.details], ["PGRST116", "The result contains 4 rows"]);
    assert.equal((await videos().select("id").eq("id", 99).single()).error.code, "PGRST116");
    assert.equal(await rows(videos().select("id").eq("id", 99).maybeSingle()), null);
    const csv = await rows(videos().select("id,tags").order("id").limit(2).csv());
    assert.equal(csv, 'id,tags\n1,"{warm,floor}"\n2,"{cold,roof}"');
});

test("relations", async () => {
    const one = await rows(videos().select("id, channel:conformance_channels(title)").order("id"));
    assert.deepEqual(one.map((row) => row.channel?.title), ["Ondol", "Ondol", "Maru", undefined]);
    const many = await rows(anonymous.from("conformance_channels").select("conformance_videos(id)").order("id"));
    assert.deepEqual(many.map((row) => row.conformance_videos.length), [2, 1, 0]);
    const inner = videos().select("id, conformance_channels!inner(title)").eq("conformance_channels.title", "Ondol");
    assert.deepEqual(await ids(inner), [1, 2]);
    const spread = await rows(videos().select("id, ...conformance_channels(channel_title:title)").order("id").limit(1));
    assert.deepEqual(spread, [{ id: 1, channel_title: "Ondol" }]);
    const counted = await rows(anonymous.from("conformance_channels").select("conformance_videos(count)").order("id"));
    assert.deepEqual(counted.map((row) => row.conformance_videos[0].count), [2, 1, 0]);
});

test("calls", async () => {
    for (const payload of [{ a: [1, { b: null }] }, [1, 2], "text", "42", 42, true]) {
        const echo = await rows(anonymous.rpc("conformance_echo", { payload }));
        assert.deepEqual([echo.payload, echo.label, echo.numbers], [payload, "unnamed", []]);
    }
    const given = { payload: {}, numbers: [3, 1], label: "007", place: { name: "hall", floor: -1 } };
    const { type, ...echo } = await rows(anonymous.rpc("conformance_echo", given));
    assert.deepEqual([type, echo], ["object", given]);
    const nearest = await rows(service.rpc("conformance_nearest", { target: [1, 2, 3] }));
    assert.deepEqual(nearest, [{ id: 1, distance: 0, places_given: 0 }]);
    assert.equal(await rows(anonymous.rpc("conformance_add", { a: 1 })), 11);
    assert.equal(await rows(anonymous.rpc("conformance_add", { a: 1, b: 2 }, { get: true })), 3);
    const popular = await rows(
        anonymous.rpc("conformance_popular").select("id, conformance_channels(title)").lt("views", 250).order("id"),
    );
    assert.deepEqual(popular.map((row) => row.conformance_channels.title), ["Ondol", "Ondol"]);
});

test("rights of anonymous, member and service", async () => {
    const memos = (client) => client.from("conformance_memos");
    const [mine] = await rows(memos(member).insert({ body: "mine" }).select());
    assert.equal(mine.owner, person.id);
    assert.equal((await rows(memos(anonymous).select("id").eq("id", mine.id))).length, 0);
    assert.equal((await rows(memos(member).select("id").eq("id", mine.id))).length, 1);
    assert.equal((await rows(memos(service).select("id").eq("id", mine.id))).length, 1);
    const refused = await memos(anonymous).insert({ body: "nobody's" });
    assert.deepEqual([refused.status, refused.error.code], [401, "42501"]);
    const denied = await member.from("conformance_kinds").select("id");
    assert.deepEqual([denied.status, denied.error.code], [403, "42501"]);
    const stolen = await memos(member).insert({ body: "x", owner: randomUUID() });
    assert.deepEqual([stolen.status, stolen.error.code], [403, "42501"]);
});

test("upsert, bulk insert and uneven rows", async () => {
    const channels = () => service.from("conformance_channels");
    const merged = await rows(channels().upsert([{ id: 3, title: "merged" }, { id: 80, title: "new" }]).select());
    assert.deepEqual(merged, [{ id: 3, title: "merged" }, { id: 80, title: "new" }]);
    const ignored = await rows(channels().upsert([{ id: 3, title: "x" }], { ignoreDuplicates: true }).select());
    assert.deepEqual(ignored, []);
    await rows(channels().delete().eq("id", 80));
    await rows(channels().update({ title: "Empty" }).eq("id", 3));

    const bulk = Array.from({ length: 7_000 }, (_, id) => ({
        id, a: id, b: -id, c: 0, d: `d${id}`, e: "é,\"'", f: null, g: id / 4, h: id % 2 === 0,
        i: "2026-01-01T00:00:00+00:00", j: { id },
    }));
    const written = await rows(service.from("conformance_bulk").insert(bulk).select());
    assert.equal(written.length, 7_000);
    assert.deepEqual(written.at(-1), bulk.at(-1));
    const gone = await service.from("conformance_bulk").delete({ count: "exact" }).gte("id", 0);
    assert.equal(gone.count, 7_000);

    const uneven = [{ id: 90, label: "a", amount: 1 }, { id: 91, amount: 2 }];
    const nulls = await rows(service.from("conformance_ragged").insert(uneven).select());
    assert.deepEqual(nulls[1], { id: 91, label: null, amount: 2 });
    const filled = await rows(service.from("conformance_ragged").insert([{ id: 92 }, { id: 93, amount: 1 }], { defaultToNull: false }).select());
    assert.deepEqual(filled, [{ id: 92, label: "unnamed", amount: 7 }, { id: 93, label: "unnamed", amount: 1 }]);
    await rows(service.from("conformance_ragged").delete().gte("id", 90));
});

test("errors keep code, message, details and hint", async () => {
    for (const [state, status] of Object.entries({ P0001: 400, 23514: 400, 23505: 409, 28000: 403, 40001: 500, PT418: 418 })) {
        const answer = await service.rpc("conformance_refuse", { state, words: "no" });
        const { code, message, details, hint } = answer.error;
        assert.deepEqual([answer.status, code, message, details, hint], [status, state, "no", "the detail", "the hint"]);
    }
    const codes = {
        PGRST205: service.from("conformance_nowhere").select(),
        PGRST202: service.rpc("conformance_nothing"),
        PGRST200: service.from("conformance_videos").select("conformance_bulk(id)"),
        PGRST204: service.from("conformance_channels").insert({ nothing: 1 }),
        PGRST106: service.schema("conformance_hidden").from("secrets").select(),
        42703: service.from("conformance_videos").select("nothing"),
    };
    for (const [code, query] of Object.entries(codes)) assert.equal((await query).error.code, code);
});
