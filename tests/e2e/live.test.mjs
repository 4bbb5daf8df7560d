// The board moves by itself: a trend that is inserted in SQL, and a tier that ends, without a reload.
import assert from "node:assert/strict";
import { after, test } from "node:test";

import { clean, close, giveTier, mark, open, pause, person, signIn, sql, visit } from "./browser.mjs";

const SOON_MS = 2_000;
const own = `e2e ${mark()} `;
const score = (keyword) =>
    sql`insert into public.trending_keywords (keyword, trend_score, growth_rate, hourly_trend_data)
        values (${own + keyword}, 0.79, 240, '[1, 2, 3, 5, 8, 13, 21, 34]')`;

after(async () => {
    await sql`delete from public.trending_keywords where keyword like ${`${own}%`}`;
    await close();
});

/** Joining is not what is timed. */
const live = (page) => page.getByText("Live", { exact: true }).waitFor();

/** Inserts, and says after how long the page showed it. */
async function shown(pages, keyword) {
    await score(keyword);
    const began = Date.now();
    await Promise.all(
        pages.map((page) =>
            page.getByRole("main").getByText(own + keyword, { exact: true }).first().waitFor({ timeout: SOON_MS }),
        ),
    );
    return Date.now() - began;
}

test("a trend inserted in SQL is on the board within 2 s: limited for a visitor, the full row for premium", async (t) => {
    const [visitor, premium] = await Promise.all([open(), open()]);
    await signIn(premium, await person({ tier: "premium" }));
    await visit(premium, "trends");
    await visit(visitor, "trends");
    const loads = new Map([visitor, premium].map((page) => [page, 0]));
    for (const page of loads.keys()) page.on("load", () => loads.set(page, loads.get(page) + 1));
    for (const page of loads.keys()) await live(page);

    t.diagnostic(`shown after ${await shown([visitor, premium], "one")} ms`);
    t.diagnostic(`shown after ${await shown([visitor, premium], "two")} ms`);

    assert.deepEqual([...loads.values()], [0, 0]);
    const row = (page) => page.getByRole("listitem").filter({ hasText: `${own}one` }).first();
    assert.match(await row(visitor).innerText(), /0\.79|79/);
    assert.equal(await row(visitor).locator("canvas, svg").count(), 0, "the series is premium's");
    assert.ok((await row(premium).locator("canvas, svg").count()) > 0, "premium sees the series");
    clean(visitor);
    clean(premium);
});

test("a trend that comes while the board begins to listen is not lost", async () => {
    const page = await open();
    await page.context().route("**/rpc/trends_since", async (route) => {
        await pause(1_000);
        await route.fallback();
    });
    await visit(page, "search");
    await visit(page, "trends");
    await live(page);
    await shown([page], "zero");
    clean(page);
});

test("an expired premium loses the full view without a reload", async () => {
    const page = await open();
    const someone = await person({ tier: "premium" });
    await signIn(page, someone);
    await visit(page, "trends");
    await live(page);
    await shown([page], "three");
    const row = page.getByRole("listitem").filter({ hasText: `${own}three` }).first();
    await row.locator("canvas, svg").first().waitFor();
    await page.evaluate(() => (globalThis.notReloaded = true));
    await giveTier(someone.id, "premium", 0);
    await page.getByRole("main").getByText(/expired|ended/i).first().waitFor({ timeout: 15_000 });
    await row.locator("canvas, svg").first().waitFor({ state: "detached" });
    await row.waitFor(); // what everybody may see of it stays
    assert.ok(await page.evaluate(() => globalThis.notReloaded));
    clean(page);
});
