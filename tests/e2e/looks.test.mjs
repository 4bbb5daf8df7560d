// How each page looks and whether everybody can use it: screenshots for a reviewer, axe, and no sideways scrolling.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { after, before, test } from "node:test";

import { clean, close, mark, open, person, removeVideos, settled, signIn, sql, storeVideos, violations, visit } from "./browser.mjs";

const { SCREENSHOTS } = process.env;
const PAGES = ["trends", "search?q=맛집", "feed", "signin", "onboarding", "profile", "webhooks", "operator"];
const LOOKS = [
    { name: "desktop-light", isChecked: true, scheme: "light", width: 1280, height: 900, language: "en" },
    { name: "desktop-dark", scheme: "dark", width: 1280, height: 900, language: "ko" },
    { name: "phone-light", scheme: "light", width: 360, height: 740, language: "ko" },
    { name: "phone-dark", isChecked: true, scheme: "dark", width: 360, height: 740, language: "en" },
];
const own = `${mark()}`;
const KEYWORDS = ["성수동 팝업", "탕후루 만들기", "러닝 크루", "두바이 초콜릿", "키링 꾸미기", "홈카페 레시피"];
let videos;
let state;

before(async () => {
    mkdirSync(SCREENSHOTS, { recursive: true });
    videos = await storeVideos(
        "맛집",
        Array.from({ length: 12 }, (_, number) => ({ title: `성수동 맛집 ${number + 1}곳을 하루에`, channel_name: "먹는 채널" })),
    );
    for (const [number, keyword] of KEYWORDS.entries()) {
        const hours = JSON.stringify(Array.from({ length: 24 }, (_, hour) => Math.round(3 + hour ** (1 + number / 6))));
        await sql`insert into public.trending_keywords (keyword, trend_score, growth_rate, hourly_trend_data, data_source)
            values (${`${keyword} ${own}`}, ${0.79 - number / 20}, ${320 - number * 40}, ${hours}::text::jsonb, 'youtube_api')`;
    }
    const page = await open();
    await signIn(page, await person({ tier: "premium", role: "admin" }));
    state = await page.context().storageState();
    await page.context().close();
});

after(async () => {
    await sql`delete from public.trending_keywords where keyword like ${`%${own}`}`;
    await removeVideos(videos);
    await close();
});

for (const look of LOOKS) {
    test(`each page, ${look.name}`, async () => {
        const page = await open({ ...look, state });
        const found = [];
        for (const path of PAGES) {
            const name = path.split("?")[0];
            // Who is signed in is sent on from there.
            const shown = name === "signin" ? await open(look) : page;
            await visit(shown, path);
            await settled(shown);
            await shown.screenshot({ path: `${SCREENSHOTS}/${name}-${look.name}.png`, fullPage: true });
            const wide = await shown.evaluate(() => document.documentElement.scrollWidth - innerWidth);
            if (wide > 0) found.push(`${name}: ${wide} px wider than the screen`);
            // Each theme and each width once: axe takes a second a page.
            if (look.isChecked) found.push(...(await violations(shown)).map((line) => `${name}: ${line}`));
            clean(shown);
            if (shown !== page) await shown.context().close();
        }
        assert.deepEqual(found, []);
    });
}

test("each page is there for a visitor", async () => {
    const page = await open({ width: 360, height: 740 });
    for (const path of PAGES) {
        const name = path.split("?")[0];
        await visit(page, path);
        await page.screenshot({ path: `${SCREENSHOTS}/${name}-visitor.png`, fullPage: true });
        assert.ok((await page.getByRole("main").innerText()).trim().length > 20, `${name} is empty`);
    }
    assert.deepEqual(await violations(page), []);
    clean(page);
});

test("what looks for violations finds one that was put there", async () => {
    const page = await open();
    await page.evaluate(() => document.querySelector("main").append(document.createElement("input")));
    assert.match((await violations(page)).join(), /^label: /);
});

test("offline and a failing server are told, with a way on", async () => {
    const page = await open();
    await page.context().setOffline(true);
    await page.getByText(/offline/i).first().waitFor();
    await page.screenshot({ path: `${SCREENSHOTS}/offline.png` });
    await page.context().setOffline(false);
    await page.getByText(/offline/i).first().waitFor({ state: "detached" });

    let broken = true;
    await page.context().route("**/rest/v1/rpc/search_videos*", (route) =>
        broken ? route.fulfill({ status: 500, json: { message: "broken on purpose" } }) : route.fallback(),
    );
    await visit(page, "search?q=맛집");
    await page.getByRole("alert").waitFor();
    await page.screenshot({ path: `${SCREENSHOTS}/error.png` });
    broken = false;
    await page.getByRole("button", { name: "Try again" }).click();
    await page.locator("mark").first().waitFor();
    assert.deepEqual(page.problems.filter((problem) => problem.startsWith("uncaught")), []);
});

test("the keyboard reaches the content and the switches; what is chosen is kept", async () => {
    const page = await open();
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement?.textContent?.trim()), "Skip to content");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement?.tagName), "MAIN");
    await page.getByLabel("Theme").selectOption("dark");
    await page.getByLabel("Language").selectOption("ko");
    await page.reload();
    await page.getByRole("main").waitFor();
    assert.deepEqual(
        await page.evaluate(() => [document.documentElement.lang, getComputedStyle(document.documentElement).colorScheme]),
        ["ko", "dark"],
    );
    clean(page);
});
