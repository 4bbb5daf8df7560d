// A frontend's day with supabase-js, under row level security: profile, search, history, feedback, realtime.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";

import { createClient } from "@supabase/supabase-js";
import ws from "ws";

const { SUPABASE_URL, SUPABASE_PUBLISHABLE_KEY, SUPABASE_SECRET_KEY } = process.env;
const SUBSCRIBED_WITHIN_MS = 10_000;
const HEARD_WITHIN_MS = 2_000; // S-274
const QUIET_MS = 1_000;
const VIDEOS = 20;

// supabase-js leaves a timer of ten seconds behind each disconnect: timers must not keep this process alive.
const { setTimeout: start } = globalThis;
globalThis.setTimeout = (...given) => start(...given).unref();
const pause = (milliseconds) => new Promise((resolve) => start(resolve, milliseconds));

const options = { auth: { persistSession: false, autoRefreshToken: false }, realtime: { transport: ws } };
const admin = createClient(SUPABASE_URL, SUPABASE_SECRET_KEY, options);
const mark = `j${randomUUID().slice(0, 8)}`;
const videos = Array.from({ length: VIDEOS }, (_, number) => `${mark}_${number}`);
let person, stranger;

/** The data of an answer, or its error thrown. */
async function ok(request) {
    const { data, error } = await request;
    assert.ifError(error);
    return data;
}

async function signedUp() {
    const client = createClient(SUPABASE_URL, SUPABASE_PUBLISHABLE_KEY, options);
    const { user } = await ok(client.auth.signUp({ email: `${randomUUID()}@example.com`, password: randomUUID() }));
    return { id: user.id, client };
}

const views = (count) =>
    Array.from({ length: count }, (_, number) => ({
        video_id: videos[number % VIDEOS],
        interaction_type: "view",
        watch_duration: 15,
        total_duration: 30,
    }));

/** One page of the own views, newest first; the cursor is the last row of the page before. */
function page(client, size, before) {
    let query = client
        .from("video_interactions")
        .select("id,video_id,created_at,completion_rate")
        .eq("interaction_type", "view");
    if (before) {
        query = query
            .lte("created_at", before.created_at)
            .or(`created_at.lt."${before.created_at}",id.lt.${before.id}`);
    }
    return ok(query.order("created_at", { ascending: false }).order("id", { ascending: false }).limit(size));
}

async function history(client, size) {
    const rows = [];
    for (;;) {
        const found = await page(client, size, rows.at(-1));
        if (found.length === 0) return rows;
        rows.push(...found);
    }
}

before(async () => {
    await ok(
        admin.from("cached_videos").insert(
            videos.map((video_id) => ({
                video_id,
                title: "시험",
                duration: 30,
                is_embeddable: true,
                privacy_status: "public",
            })),
        ),
    );
    [person, stranger] = [await signedUp(), await signedUp()];
});

after(async () => {
    // Whoever waits for a channel to close waits on those timers: this one keeps the process until all is cleaned up.
    const alive = setInterval(() => {}, QUIET_MS);
    for (const { id, client } of [person, stranger]) {
        client.realtime.disconnect();
        await ok(admin.auth.admin.deleteUser(id));
    }
    await ok(admin.from("cached_videos").delete().in("video_id", videos));
    clearInterval(alive);
});

test("S-156: a profile is read and edited by its owner alone", async () => {
    const [own] = await ok(person.client.from("users").select("id,user_tier"));
    assert.deepEqual(own, { id: person.id, user_tier: "free" });
    const [named] = await ok(person.client.from("users").update({ name: "김온돌" }).eq("id", person.id).select("name"));
    assert.equal(named.name, "김온돌");
    const wish = { user_id: person.id, preferred_categories: ["food"] };
    for (let time = 0; time < 2; time += 1) {
        const upsert = person.client.from("user_profiles").upsert(wish, { onConflict: "user_id" });
        assert.deepEqual(await ok(upsert.select("user_id,preferred_categories")), [wish]);
    }
    const { error } = await person.client
        .from("user_profiles")
        .upsert({ ...wish, user_id: stranger.id }, { onConflict: "user_id" });
    assert.equal(error.code, "42501");
});

test("S-258, S-259, S-260: a search with 500 interactions in one call, and its history by cursor", async () => {
    const search = await ok(person.client.rpc("start_search", { query: "김치찌개", search_intent: "discovery" }));
    const [open] = await ok(person.client.from("search_sessions").select("id,response_time_ms"));
    assert.deepEqual(open, { id: search.id, response_time_ms: null });

    const interactions = views(500).map((row) => ({ ...row, id: randomUUID(), session_id: search.id }));
    const recorded = await ok(person.client.rpc("record_interaction", { interactions }));
    assert.deepEqual([recorded.received, recorded.stored, recorded.rejected], [500, 500, []]);
    const again = await ok(person.client.rpc("record_interaction", { interactions }));
    assert.deepEqual([again.stored, again.repeated], [0, 500]);
    await ok(person.client.rpc("record_interaction", { interactions: views(3) }));

    const ended = await ok(person.client.rpc("end_search", { session: search.id, outcome: "satisfied", rating: 5 }));
    assert.equal(ended.id, search.id);
    assert.ok(ended.response_time_ms > 0);

    for (const size of [37, 503, 1000]) {
        const rows = await history(person.client, size);
        assert.equal(rows.length, 503);
        assert.equal(new Set(rows.map((row) => row.id)).size, 503);
        assert.equal(new Set(rows.map((row) => row.created_at)).size, 2, "500 rows of the very same time");
        const keys = rows.map((row) => `${row.created_at} ${row.id}`);
        assert.deepEqual(keys, [...keys].sort().reverse());
    }
});

test("S-261: events go to own interactions, and a bad one is named", async () => {
    const { interactions } = await ok(person.client.rpc("record_interaction", { interactions: views(1) }));
    const interaction_id = interactions[0].id;
    const events = [
        { interaction_id, event_type: "play" },
        { interaction_id, event_type: "play", seek_to: 3 },
    ];
    const recorded = await ok(person.client.rpc("record_watch_event", { events }));
    assert.equal(recorded.stored, 1);
    assert.deepEqual(
        recorded.rejected.map(({ index, code }) => [index, code]),
        [[1, "ON017"]],
    );
    const { error } = await stranger.client.rpc("record_watch_event", { events: events.slice(0, 1) });
    assert.equal(error.code, "PT400");
    assert.ok(error.hint);
});

test("S-256: like, dislike, and taken back", async () => {
    const say = (feedback_type) =>
        ok(person.client.rpc("submit_feedback", { video_id: videos[0], feedback_type, comment: "음" }));
    const repeated = [];
    for (const type of ["like", "dislike", "like"]) repeated.push((await say(type)).repeated);
    assert.deepEqual(repeated, [false, false, true]);
    const own = person.client.from("user_feedback");
    assert.equal((await ok(own.select("id"))).length, 2);
    await ok(own.delete().eq("video_id", videos[0]).eq("feedback_type", "dislike"));
    assert.deepEqual(await ok(own.select("feedback_type")), [{ feedback_type: "like" }]);
});

test("S-156, S-157, S-158, S-160: another person sees nothing of it", async () => {
    const tables = ["search_sessions_partitioned", "video_interactions", "watch_events", "user_feedback"];
    for (const table of tables) {
        assert.notEqual((await ok(person.client.from(table).select("id").limit(1))).length, 0, table);
        assert.deepEqual(await ok(stranger.client.from(table).select("id")), [], table);
    }
    const foreign = { user_id: person.id, video_id: videos[0], interaction_type: "view" };
    const { error } = await stranger.client.from("video_interactions").insert(foreign);
    assert.equal(error.code, "42501");
});

test("S-274: own feedback is heard within 2 s, another person's never", async () => {
    const heard = { [person.id]: [], [stranger.id]: [] };
    for (const { id, client } of [person, stranger]) {
        const changes = { event: "INSERT", schema: "public", table: "user_feedback" };
        const channel = client
            .channel(`own-feedback-${id}`)
            .on("postgres_changes", changes, (change) => heard[id].push(change.new));
        await new Promise((resolve, reject) => {
            start(() => reject(new Error("not subscribed in time")), SUBSCRIBED_WITHIN_MS).unref();
            // Changes flow only from the server's own word on, which comes a little after SUBSCRIBED.
            channel.on("system", {}, ({ extension, status, message }) => {
                if (extension === "postgres_changes") (status === "ok" ? resolve : reject)(message);
            });
            channel.subscribe();
        });
    }
    for (const [speaker, other] of [
        [person, stranger],
        [stranger, person],
    ]) {
        const before = heard[other.id].length;
        await ok(speaker.client.rpc("submit_feedback", { video_id: videos[1], feedback_type: "like" }));
        const deadline = Date.now() + HEARD_WITHIN_MS;
        while (heard[speaker.id].length === 0 && Date.now() < deadline) await pause(20);
        assert.deepEqual(
            heard[speaker.id].map(({ user_id, video_id }) => [user_id, video_id]),
            [[speaker.id, videos[1]]],
        );
        await pause(QUIET_MS);
        assert.equal(heard[other.id].length, before, "what is foreign is not heard");
    }
});
