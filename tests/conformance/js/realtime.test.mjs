// Realtime through supabase-js, with protocol 2.0.0 (its default, binary broadcasts) and 1.0.0.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, beforeEach, describe, test } from "node:test";

import { createClient, postgresChangesFilter } from "@supabase/supabase-js";
import postgres from "postgres";
import ws from "ws";

const { SUPABASE_URL, SUPABASE_PUBLISHABLE_KEY, SUPABASE_SECRET_KEY, DATABASE_URL } = process.env;
const WITHIN_MS = 10_000;
const QUIET_MS = 1_000;

// supabase-js leaves a timer of ten seconds behind each disconnect: timers must not keep this process alive.
const { setTimeout: start } = globalThis;
globalThis.setTimeout = (...given) => start(...given).unref();

const sql = postgres(DATABASE_URL, { max: 1, onnotice: () => {} });
const admin = createClient(SUPABASE_URL, SUPABASE_SECRET_KEY, { ...withoutSession(), realtime: { transport: ws } });
const people = [];

function withoutSession() {
    return { auth: { persistSession: false, autoRefreshToken: false } };
}

/** What was heard, in order; `next` waits for it. */
class Heard {
    #events = [];
    #waiting = [];
    push = (event) => {
        const waiting = this.#waiting.shift();
        if (waiting) waiting(event);
        else this.#events.push(event);
    };
    next() {
        if (this.#events.length > 0) return Promise.resolve(this.#events.shift());
        return new Promise((resolve, reject) => {
            const late = setTimeout(() => reject(new Error("nothing arrived")), WITHIN_MS);
            this.#waiting.push((event) => {
                clearTimeout(late);
                resolve(event);
            });
        });
    }
    async several(count) {
        const events = [];
        while (events.length < count) events.push(await this.next());
        return events;
    }
    async nothing() {
        await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
        assert.deepEqual(this.#events, []);
    }
}

const topic = () => `conformance:room:${randomBytes(6).toString("hex")}`;

/** Subscribes; resolves at SUBSCRIBED, or at the `system` message when the channel wants changes. */
function joined(channel, { changes = false } = {}) {
    return new Promise((resolve, reject) => {
        const late = setTimeout(() => reject(new Error("not subscribed in time")), WITHIN_MS);
        const done = (error) => {
            clearTimeout(late);
            if (error) reject(error);
            else resolve(channel);
        };
        if (changes) {
            channel.on("system", {}, ({ extension, status, message }) => {
                if (extension === "postgres_changes") done(status === "ok" ? null : new Error(message));
            });
        }
        channel.subscribe((status, error) => {
            if (status === "SUBSCRIBED" && !changes) done();
            if (status === "CHANNEL_ERROR" || status === "TIMED_OUT") done(error ?? new Error(status));
        });
    });
}

before(async () => {
    for (const number of [1, 2]) {
        const email = `conformance-js-${number}-${randomBytes(6).toString("hex")}@example.com`;
        const password = randomBytes(12).toString("hex");
        const { data, error } = await admin.auth.admin.createUser({ email, password, email_confirm: true });
        assert.ifError(error);
        people.push({ id: data.user.id, email, password });
    }
});

after(async () => {
    for (const person of people) await admin.auth.admin.deleteUser(person.id);
    await sql.end();
});

for (const vsn of ["2.0.0", "1.0.0"]) {
    describe(`protocol ${vsn}`, () => {
        const clients = [];
        const client = async (person) => {
            const made = createClient(SUPABASE_URL, SUPABASE_PUBLISHABLE_KEY, {
                ...withoutSession(),
                realtime: { transport: ws, vsn },
            });
            if (person) {
                const { error } = await made.auth.signInWithPassword(person);
                assert.ifError(error);
            }
            clients.push(made);
            return made;
        };
        let anonymous, member, stranger;

        before(async () => {
            anonymous = await client();
            member = await client(people[0]);
            stranger = await client(people[1]);
        });
        beforeEach(async () => {
            for (const each of clients) await each.removeAllChannels();
            await sql`truncate public.conformance_notes, public.conformance_open, public.conformance_keyless`;
        });
        after(async () => {
            for (const each of clients) {
                await each.removeAllChannels();
                each.realtime.disconnect();
            }
        });

        test("changes arrive converted, and only of visible rows", async () => {
            const anyone = new Heard();
            const one = new Heard();
            const notes = { event: "*", schema: "public", table: "conformance_notes" };
            await joined(anonymous.channel(topic()).on("postgres_changes", notes, anyone.push), { changes: true });
            await joined(member.channel(topic()).on("postgres_changes", notes, one.push), { changes: true });
            await sql`
                insert into public.conformance_notes (id, owner, shared, amount, tags, written_at, meta, hidden)
                values
                    (1, ${people[0].id}, false, 1.5, '{a,"b,c"}', '2026-03-01T00:00:00Z', '{"deep": [1]}', 'x'),
                    (2, ${people[1].id}, false, 2, null, null, null, 'x'),
                    (3, null, true, 3, null, null, null, 'x')
            `;
            const [own, shared] = await one.several(2);
            assert.equal(own.eventType, "INSERT");
            assert.equal(own.errors, null);
            assert.deepEqual(own.new, {
                id: 1,
                owner: people[0].id,
                shared: false,
                room: "hall",
                body: null,
                amount: 1.5,
                big: null,
                tags: ["a", "b,c"],
                written_at: "2026-03-01T00:00:00+00:00",
                day: null,
                meta: { deep: [1] },
            });
            assert.equal(shared.new.id, 3);
            assert.equal((await anyone.next()).new.id, 3);
            await Promise.all([anyone.nothing(), one.nothing()]);
        });

        test("updates and deletes tell the old row as its replica identity allows", async () => {
            const heard = new Heard();
            const channel = anonymous
                .channel(topic())
                .on("postgres_changes", { event: "*", schema: "public", table: "conformance_open" }, heard.push)
                .on(
                    "postgres_changes",
                    { event: "DELETE", schema: "public", table: "conformance_notes" },
                    heard.push,
                );
            await joined(channel, { changes: true });
            await sql`insert into public.conformance_open values (1, 'a')`;
            await sql`update public.conformance_open set body = 'b'`;
            await sql`insert into public.conformance_notes (id) values (9)`;
            await sql`delete from public.conformance_notes`;
            const [inserted, updated, deleted] = await heard.several(3);
            assert.deepEqual([inserted.new, inserted.old], [{ id: 1, body: "a" }, {}]);
            assert.deepEqual([updated.new, updated.old], [{ id: 1, body: "b" }, { id: 1, body: "a" }]);
            assert.deepEqual([deleted.new, deleted.old], [{}, { id: 9 }]);
        });

        test("filters of the builder, and a select list", async () => {
            const heard = new Heard();
            const wanted = {
                event: "INSERT",
                schema: "public",
                table: "conformance_notes",
                filter: postgresChangesFilter().gte("id", 2).in("body", ["a,b", "(c)"]).not("room", "eq", "attic"),
                select: ["body"],
            };
            await joined(anonymous.channel(topic()).on("postgres_changes", wanted, heard.push), { changes: true });
            await sql`
                insert into public.conformance_notes (id, shared, body, room)
                values (1, true, '(c)', 'hall'), (2, true, 'a,b', 'hall'), (3, true, 'a,b', 'attic'), (4, true, '(c)', 'hall')
            `;
            assert.deepEqual(
                (await heard.several(2)).map((event) => event.new),
                [
                    { id: 2, body: "a,b" },
                    { id: 4, body: "(c)" },
                ],
            );
            await heard.nothing();
        });

        test("SUBSCRIBED can wait for the changes to flow", async () => {
            const heard = new Heard();
            const channel = anonymous
                .channel(topic(), { config: { postgres_changes_options: { wait: true } } })
                .on("postgres_changes", { event: "*", schema: "public", table: "conformance_open" }, heard.push);
            await joined(channel);
            await sql`insert into public.conformance_open values (1, 'a')`;
            assert.equal((await heard.next()).new.id, 1);

            const hopeless = anonymous
                .channel(topic(), { config: { postgres_changes_options: { wait: true } } })
                .on("postgres_changes", { event: "*", schema: "public", table: "conformance_unpublished" }, () => {});
            await assert.rejects(joined(hopeless), /RealtimeDisabledForConfiguration/);
        });

        test("a table without a primary key tells of a change and not what it is", async () => {
            const heard = new Heard();
            const keyless = { event: "*", schema: "public", table: "conformance_keyless" };
            await joined(anonymous.channel(topic()).on("postgres_changes", keyless, heard.push), { changes: true });
            await sql`insert into public.conformance_keyless values ('secret')`;
            const event = await heard.next();
            assert.deepEqual(event.errors, ["Error 400: Bad Request, no primary key"]);
            assert.deepEqual(event.new, {});
        });

        test("broadcast: text, unicode, acknowledgement, and oneself", async () => {
            const name = topic();
            const own = new Heard();
            const others = new Heard();
            const sender = anonymous
                .channel(name, { config: { broadcast: { ack: true, self: true } } })
                .on("broadcast", { event: "*" }, own.push);
            await joined(sender);
            await joined(member.channel(name).on("broadcast", { event: "인사" }, others.push));
            const payload = { text: "안녕 👋", list: [1, 2.5, null] };
            assert.equal(await sender.send({ type: "broadcast", event: "인사", payload }), "ok");
            for (const heard of [own, others]) {
                const message = await heard.next();
                assert.equal(message.event, "인사");
                assert.deepEqual(message.payload, payload);
            }
        });

        if (vsn === "2.0.0") {
            test("broadcast: bytes", async () => {
                const name = topic();
                const heard = new Heard();
                const sender = await joined(anonymous.channel(name));
                await joined(member.channel(name).on("broadcast", { event: "bytes" }, heard.push));
                const payload = new Uint8Array([0, 255, 3, 4]).buffer;
                await sender.send({ type: "broadcast", event: "bytes", payload });
                assert.deepEqual(new Uint8Array((await heard.next()).payload), new Uint8Array(payload));
                await sender.httpSend("bytes", payload);
                assert.deepEqual(new Uint8Array((await heard.next()).payload), new Uint8Array(payload));
            });
        }

        test("broadcast by HTTP, before and without a subscription", async () => {
            const name = topic();
            const heard = new Heard();
            await joined(member.channel(name).on("broadcast", { event: "*" }, heard.push));
            const result = await anonymous.channel(name).httpSend("note", { n: 1 });
            assert.deepEqual(result, { success: true });
            assert.deepEqual((await heard.next()).payload, { n: 1 });
        });

        test("private channels: policies decide who joins and who writes", async () => {
            const name = topic();
            const config = { private: true, broadcast: { ack: true } };
            const heard = new Heard();
            await assert.rejects(joined(anonymous.channel(name, { config })), /Unauthorized/);
            const own = `conformance:user:${people[0].id}`;
            await assert.rejects(joined(stranger.channel(own, { config })), /Unauthorized/);
            await joined(member.channel(own, { config }));
            const sender = await joined(member.channel(name, { config }));
            await joined(stranger.channel(name, { config }).on("broadcast", { event: "*" }, heard.push));
            assert.equal(await sender.send({ type: "broadcast", event: "note", payload: { n: 1 } }), "ok");
            assert.deepEqual((await heard.next()).payload, { n: 1 });
            await sql`select realtime.send('{"n": 2}', 'from sql', ${name}, true)`;
            const message = await heard.next();
            assert.equal(message.event, "from sql");
            assert.equal(message.payload.n, 2);

            const news = await joined(member.channel("conformance:news", { config }));
            const sent = await news.send({ type: "broadcast", event: "note", payload: {} }, { timeout: QUIET_MS });
            assert.notEqual(sent, "ok");
        });

        test("public broadcasts of the database reach signed-out clients", async () => {
            const name = topic();
            const heard = new Heard();
            await joined(anonymous.channel(name).on("broadcast", { event: "trend" }, heard.push));
            await sql`select realtime.send('{"keyword": "먹방"}', 'trend', ${name}, false)`;
            assert.equal((await heard.next()).payload.keyword, "먹방");
        });

        test("presence: state, joins and leaves", async () => {
            const name = topic();
            const joins = new Heard();
            const leaves = new Heard();
            const watcher = anonymous
                .channel(name, { config: { presence: { key: "watcher" } } })
                .on("presence", { event: "join" }, joins.push)
                .on("presence", { event: "leave" }, leaves.push);
            await joined(watcher);
            const visitor = await joined(
                member.channel(name, { config: { presence: { key: "visitor", enabled: true } } }),
            );
            assert.equal(await visitor.track({ mood: "calm" }), "ok");
            const { key, newPresences } = await joins.next();
            assert.deepEqual([key, newPresences[0].mood], ["visitor", "calm"]);
            assert.equal(watcher.presenceState().visitor[0].mood, "calm");
            assert.equal(await visitor.untrack(), "ok");
            assert.equal((await leaves.next()).key, "visitor");
            assert.deepEqual(watcher.presenceState(), {});
        });

        test("a new token is used, and one that may not read ends the channel", async () => {
            const states = new Heard();
            const mine = member.channel(`conformance:user:${people[0].id}`, { config: { private: true } });
            mine.subscribe((status) => states.push(status));
            assert.equal(await states.next(), "SUBSCRIBED");
            const { data } = await stranger.auth.getSession();
            await member.realtime.setAuth(data.session.access_token);
            assert.ok(["CLOSED", "CHANNEL_ERROR"].includes(await states.next()));
            await member.realtime.setAuth((await member.auth.getSession()).data.session.access_token);
        });
    });
}
