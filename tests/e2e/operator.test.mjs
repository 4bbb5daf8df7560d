// The operator's page: a dead letter is sent again and arrives; nobody else sees the page's data.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { clean, close, mark, open, person, settled, signIn, sql, until, visit } from "./browser.mjs";

const own = `e2e-${mark()}`;
let delivery;

before(async () => {
    const [outbox] = await sql`insert into ops.outbox (event_type, dedupe_key, data)
        values ('webhook.test', ${own}, ${sql.json({ test: true })}) returning id`;
    [delivery] = await sql`insert into ops.webhook_deliveries
            (outbox_id, endpoint_id, event_type, state, attempt, next_attempt_at, last_status, last_error)
        select ${outbox.id}, id, 'webhook.test', 'dead', 10, null, null, ${`<img src=x onerror=alert(1)> ${own}`}
        from public.webhook_endpoints where user_id is null and disabled_at is null
        order by created_at limit 1 returning id`;
    assert.ok(delivery, "the stack has the operator's own endpoint");
});

after(async () => {
    await sql`delete from ops.outbox where dedupe_key = ${own}`;
    await close();
});

test("an operator reads the house and replays a dead letter, which arrives", async () => {
    const page = await open();
    await signIn(page, await person({ role: "admin" }));
    await page.getByRole("link", { name: "Operator" }).click();
    await settled(page);
    const main = page.getByRole("main");
    for (const heading of [/health/i, /figures|over time/i, /slow/i, /dead letters/i, /partitions/i, /jobs|cron/i]) {
        await main.getByRole("heading", { name: heading }).first().waitFor();
    }
    const letter = main.getByRole("row").or(main.getByRole("listitem")).filter({ hasText: own }).last();
    await letter.getByRole("button", { name: /replay/i }).click();
    await until(async () => {
        const [{ state }] = await sql`select state from ops.webhook_deliveries where id = ${delivery.id}`;
        return state === "delivered";
    }, "the letter was delivered", 20_000);
    await letter.waitFor({ state: "detached" });
    clean(page);
});

test("who is no operator is told so and gets none of it", async () => {
    const page = await open();
    await signIn(page, await person({ tier: "premium" }));
    assert.equal(await page.getByRole("link", { name: "Operator" }).count(), 0);
    await visit(page, "operator");
    assert.equal(await page.getByRole("button", { name: /replay/i }).count(), 0);
    assert.match(await page.getByRole("main").innerText(), /operator/i);
});
