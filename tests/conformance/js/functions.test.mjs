// Edge functions through supabase-js, against any Supabase that has them deployed.
import assert from "node:assert/strict";
import { test } from "node:test";

import { createClient, FunctionsHttpError } from "@supabase/supabase-js";
import ws from "ws";

const { SUPABASE_URL, SUPABASE_PUBLISHABLE_KEY } = process.env;
const client = createClient(SUPABASE_URL, SUPABASE_PUBLISHABLE_KEY, {
    auth: { persistSession: false, autoRefreshToken: false },
    realtime: { transport: ws },
});

for (const wake of [undefined, "t=1,v1=00"]) {
    test(`notify-trend refuses a call whose wake header is ${wake}`, async () => {
        const headers = wake === undefined ? {} : { "x-ondol-wake": wake };
        const { data, error } = await client.functions.invoke("notify-trend", { body: {}, headers });
        assert.equal(data, null);
        assert.ok(error instanceof FunctionsHttpError);
        assert.equal(error.context.status, 401);
    });
}

test("a function that is not there is a 404", async () => {
    const { error } = await client.functions.invoke("no-such-function", { body: {} });
    assert.ok(error instanceof FunctionsHttpError);
    assert.equal(error.context.status, 404);
});
