// A premium person's endpoint from its first day to its last, against the real stack.
import assert from "node:assert/strict";
import { after, test } from "node:test";

import { clean, close, mark, onlyRefusals, open, person, settled, signIn, sql, visit } from "./browser.mjs";

const FIRST_ATTEMPT_MS = 40_000; // the runtime of the functions may have to start
const own = `e2e-${mark()}`;
const url = `https://hooks.ondol.example/${own}`; // a name of RFC 2606: what is sent there is really tried, and never arrives

after(close);

/** Reads the secret of the dialog and closes it. */
async function keep(page) {
    const dialog = page.getByRole("dialog", { name: "Your signing secret" });
    const secret = await dialog.getByLabel("Secret").inputValue();
    assert.match(secret, /^whsec_.{24,}$/);
    await dialog.getByRole("button", { name: "I have kept it" }).click();
    await dialog.waitFor({ state: "detached" });
    return secret;
}

/** What is on the page, and in its fields. */
const everything = (page) =>
    page.evaluate(() => document.body.innerText + [...document.querySelectorAll("input")].map(({ value }) => value).join());

test("add, keep the secret, test, read the log, rotate, switch off and on, remove", async () => {
    const page = await open();
    const someone = await person({ tier: "premium" });
    await signIn(page, someone);
    await visit(page, "webhooks");
    await page.getByLabel("URL").fill(url);
    await page.getByLabel("Name (optional)").fill(own);
    await page.getByLabel("trend.updated").check();
    await page.getByRole("button", { name: "Add", exact: true }).click();
    const secret = await keep(page);
    await page.reload();
    const card = page.getByRole("article", { name: own });
    await card.getByText("On", { exact: true }).waitFor();
    assert.ok(!(await everything(page)).includes(secret), "it is shown once");
    const [endpoint] = await sql`select id, event_types from public.webhook_endpoints where user_id = ${someone.id}`;
    assert.deepEqual(endpoint.event_types.sort(), ["trend.detected", "trend.updated"]);

    const button = (name) => card.getByRole("button", { name, exact: true });
    await button("Send test").click();
    await card.getByText(/^Sent as /).waitFor();
    const log = card.getByRole("region", { name: "Log" });
    const sent = log.getByRole("listitem").filter({ hasText: "webhook.test" }).first();
    await sent.getByText("On its way").waitFor();
    await sent.locator("summary").click();
    await sent.locator(".attempts li").first().waitFor({ timeout: FIRST_ATTEMPT_MS });
    assert.match(await sent.innerText(), /next attempt/, "it is tried again");
    // As the sender reports it of a server that answers; the page reads the log again by itself.
    await sql`update ops.webhook_deliveries set state = 'delivered', next_attempt_at = null, last_status = 200, last_error = null
        where endpoint_id = ${endpoint.id}`;
    await sent.getByText("Delivered").waitFor();
    await sent.getByText("HTTP 200").waitFor();

    await button("Rotate secret").click();
    const rotate = page.getByRole("dialog", { name: "Rotate the secret" });
    await rotate.getByLabel("Sign with the old one too for").selectOption("An hour");
    await rotate.getByRole("button", { name: "Make a new secret" }).click();
    await page.getByText(/^The one before ends in (60 minutes|1 hour)\.$/).waitFor();
    const rotated = await keep(page);
    assert.notEqual(rotated, secret);
    await card.getByText("Old secret ends").waitFor();
    assert.ok(!(await everything(page)).includes(rotated));

    await button("Send test").click();
    await log.getByText("On its way").waitFor();
    await button("Switch off").click();
    await card.getByText("Off", { exact: true }).waitFor();
    await log.getByText("Given up").waitFor();
    assert.ok(await button("Send test").isDisabled());
    await button("Switch on").click();
    await card.getByText("On", { exact: true }).waitFor();
    await button("Replay dead").click();
    await card.getByText("1 are on their way again.").waitFor();
    await log.getByText("On its way").waitFor();

    await button("Remove").click();
    await page.getByRole("dialog", { name: "Remove the endpoint?" }).getByRole("button", { name: "Remove for good" }).click();
    await page.getByText("No endpoint yet. Add the first one above.").waitFor();
    assert.equal((await sql`select from public.webhook_endpoints where id = ${endpoint.id}`).length, 0);
    await settled(page);
    clean(page);
});

test("an address that is not public, and no event at all, are refused in words", async () => {
    const page = await open();
    await signIn(page, await person({ tier: "premium" }));
    await visit(page, "webhooks");
    await page.getByLabel("URL").fill("https://127.0.0.1/hook");
    await page.getByLabel("trend.detected").uncheck();
    await page.getByRole("button", { name: "Add", exact: true }).click();
    await page.getByText("Choose at least one event.").waitFor();
    await page.getByLabel("trend.detected").check();
    await page.getByRole("button", { name: "Add", exact: true }).click();
    await page.getByRole("alert").filter({ hasText: "Its host is no full domain name." }).waitFor();
    await page.getByLabel("Language").selectOption("ko");
    await page.getByRole("button", { name: "추가", exact: true }).click();
    await page.getByText("사용할 수 없는 주소입니다.").waitFor();
    onlyRefusals(page);
});
