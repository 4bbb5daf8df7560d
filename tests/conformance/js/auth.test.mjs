// Sign-up, sessions, tokens and user administration through supabase-js, against any Supabase.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";

import { createClient } from "@supabase/supabase-js";
import ws from "ws";

const { SUPABASE_URL, SUPABASE_PUBLISHABLE_KEY, SUPABASE_SECRET_KEY } = process.env;
const PASSWORD = "a-long-password-1";

const connect = (key) =>
    createClient(SUPABASE_URL, key, {
        auth: { persistSession: false, autoRefreshToken: false },
        realtime: { transport: ws },
    });
const claimsOf = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString());
const newEmail = () => `conformance-${randomUUID()}@example.com`;
const service = connect(SUPABASE_SECRET_KEY);
let person;

before(async () => {
    const { data, error } = await service.auth.admin.createUser({
        email: newEmail(),
        password: PASSWORD,
        email_confirm: true,
        app_metadata: { team: "floor" },
    });
    assert.equal(error, null);
    person = data.user;
});

after(() => service.auth.admin.deleteUser(person.id));

async function signedIn() {
    const client = connect(SUPABASE_PUBLISHABLE_KEY);
    const { data, error } = await client.auth.signInWithPassword({ email: person.email, password: PASSWORD });
    assert.equal(error, null);
    return { client, session: data.session };
}

test("signing up gives a session whose token says everything", async () => {
    const email = newEmail();
    const client = connect(SUPABASE_PUBLISHABLE_KEY);
    const { data, error } = await client.auth.signUp({ email, password: PASSWORD, options: { data: { name: "이두리" } } });
    assert.equal(error, null);
    try {
        const claims = claimsOf(data.session.access_token);
        assert.equal(claims.iss, `${SUPABASE_URL}/auth/v1`);
        assert.equal(claims.sub, data.user.id);
        assert.deepEqual([claims.aud, claims.role, claims.email], ["authenticated", "authenticated", email]);
        assert.deepEqual(claims.amr.map((entry) => entry.method), ["password"]);
        assert.equal(claims.user_metadata.name, "이두리");
        assert.equal(claims.app_metadata.provider, "email");
    } finally {
        await service.auth.admin.deleteUser(data.user.id);
    }
});

test("an address that is taken, a weak password and a wrong one are refused with stable codes", async () => {
    const client = connect(SUPABASE_PUBLISHABLE_KEY);
    const taken = await client.auth.signUp({ email: person.email, password: PASSWORD });
    assert.deepEqual([taken.error.status, taken.error.code], [422, "user_already_exists"]);
    const weak = await client.auth.signUp({ email: newEmail(), password: "short" });
    assert.deepEqual([weak.error.status, weak.error.code, weak.error.reasons], [422, "weak_password", ["length"]]);
    const wrong = await client.auth.signInWithPassword({ email: person.email, password: "wrong-password" });
    assert.deepEqual([wrong.error.status, wrong.error.code], [400, "invalid_credentials"]);
});

test("a refresh keeps the session", async () => {
    const { client, session } = await signedIn();
    const { data, error } = await client.auth.refreshSession();
    assert.equal(error, null);
    assert.notEqual(data.session.refresh_token, session.refresh_token);
    assert.equal(claimsOf(data.session.access_token).session_id, claimsOf(session.access_token).session_id);
});

test("getUser and getClaims tell who is signed in", async () => {
    const { client } = await signedIn();
    const user = await client.auth.getUser();
    assert.equal(user.data.user.id, person.id);
    const claims = await client.auth.getClaims();
    assert.equal(claims.data.claims.sub, person.id);
});

test("users change their own metadata and nothing that grants power", async () => {
    const { client } = await signedIn();
    const updated = await client.auth.updateUser({ data: { name: "박세나", tier: "enterprise" } });
    assert.equal(updated.data.user.user_metadata.name, "박세나");
    const { data } = await client.auth.refreshSession();
    assert.notEqual(claimsOf(data.session.access_token).app_metadata.tier, "enterprise");
});

test("the database sees the token's claims and the hook's tier", async () => {
    const { client, session } = await signedIn();
    const { data, error } = await client.rpc("conformance_claims");
    assert.equal(error, null);
    assert.deepEqual(data, claimsOf(session.access_token));
    assert.equal(data.app_metadata.team, "floor");
    assert.equal(data.app_metadata.tier, "free");
});

test("signing out ends the session", async () => {
    const { client, session } = await signedIn();
    assert.equal((await client.auth.signOut()).error, null);
    const { error } = await connect(SUPABASE_PUBLISHABLE_KEY).auth.getUser(session.access_token);
    assert.equal(error.name, "AuthSessionMissingError"); // the client's name for session_not_found
});

test("an admin creates, lists, finds, changes and deletes users", async () => {
    const { admin } = service.auth;
    const created = (await admin.createUser({ email: newEmail(), user_metadata: { name: "최나래" } })).data.user;
    const listed = await admin.listUsers({ page: 1, perPage: 1 });
    assert.equal(listed.data.users[0].id, created.id);
    assert.equal(listed.data.nextPage, 2);
    assert.ok(listed.data.total >= 2);
    const changed = await admin.updateUserById(created.id, { email_confirm: true, app_metadata: { role: "admin" } });
    assert.equal(changed.data.user.app_metadata.role, "admin");
    assert.equal((await admin.getUserById(created.id)).data.user.user_metadata.name, "최나래");
    const again = await admin.createUser({ email: created.email });
    assert.deepEqual([again.error.status, again.error.code], [422, "email_exists"]);
    assert.equal((await admin.deleteUser(created.id)).error, null);
    const gone = await admin.getUserById(created.id);
    assert.deepEqual([gone.error.status, gone.error.code], [404, "user_not_found"]);
});

test("only the service role administers users", async () => {
    const { client } = await signedIn();
    const { error } = await client.auth.admin.listUsers();
    assert.deepEqual([error.status, error.code], [403, "not_admin"]);
});
