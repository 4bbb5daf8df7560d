// How each page looks and whether everybody can use it: screenshots for a reviewer, axe, and no sideways scrolling.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { after, before, test } from "node:test";

import { clean, close, mark, open, pause, person, removeVideos, settled, signIn, sql, storeVideos, violations, visit } from "./browser.mjs";

const { SCREENSHOTS } = process.env;
const PAGES = ["trends", "search?q=맛집", "feed", "signin", "recover", "onboarding", "profile", "webhooks", "operator"];
// Axe takes a second a page: every page is checked in both themes, both languages and both widths, not in every combination.
const LOOKS = [
    { name: "desktop-light", isChecked: true, scheme: "light", width: 1280, height: 900, language: "en" },
    { name: "desktop-dark", scheme: "dark", width: 1280, height: 900, language: "ko" },
    { name: "phone-light", scheme: "light", width: 360, height: 740, language: "ko" },
    { name: "phone-dark", isChecked: true, scheme: "dark", width: 360, height: 740, language: "ko" },
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

/** Presses Tab (or Shift+Tab) until `target` has the focus, as somebody without a mouse does; each stop must be seen. */
async function tabTo(page, target, key = "Tab") {
    for (let stops = 0; stops < 80; stops++) {
        await page.keyboard.press(key);
        const isVisible = await page.evaluate(() => {
            const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
            const { width, height } = document.activeElement.getBoundingClientRect();
            return width > 0 && height > 0 && outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
        });
        const focused = await page.evaluate(() => document.activeElement.outerHTML.slice(0, 120));
        assert.ok(isVisible || focused.startsWith("<body"), `the focus is not seen on ${focused}`);
        if (await target.evaluateAll(([element]) => element !== undefined && element === document.activeElement)) return;
    }
    assert.fail(`Tab does not reach ${target}`);
}

test("trends, search and feed by keyboard alone, with a focus that is seen", async () => {
    const page = await open({ state });
    const press = (key) => page.keyboard.press(key);
    const nav = (name) => page.getByRole("navigation").getByRole("link", { name });
    const trend = page.getByRole("listitem").filter({ hasText: own }).first();
    await trend.waitFor();
    await tabTo(page, page.getByLabel("Region"));
    await tabTo(page, trend.locator("summary"));
    await press("Enter");
    await trend.locator(".outlook").waitFor();
    await tabTo(page, trend.getByRole("link").first(), "Shift+Tab");
    await press("Enter");
    await page.waitForURL(/#\/search\?q=/);
    const begins = () => page.waitForFunction(() => document.activeElement.tagName === "MAIN");
    await begins();

    const box = page.getByRole("combobox", { name: "Search" });
    await tabTo(page, box);
    await press("Control+a");
    await page.keyboard.type("맛집");
    await press("Enter");
    const watch = page.getByRole("button", { name: "Watch" }).first();
    await watch.waitFor();
    await tabTo(page, watch);
    await press("Enter");
    const dialog = page.getByRole("dialog");
    await dialog.waitFor();
    await press("Escape");
    await dialog.waitFor({ state: "detached" });
    assert.ok(await watch.evaluate((button) => button === document.activeElement), "the focus is back where it was");

    await tabTo(page, nav("Feed"), "Shift+Tab");
    await press("Enter");
    await begins();
    const pick = page.getByRole("list", { name: "Feed" }).getByRole("listitem").filter({ has: page.getByRole("article") }).first();
    await tabTo(page, pick.getByRole("button", { name: "Like" }));
    await press("Enter");
    const liked = pick.getByRole("button", { name: "Liked", pressed: true });
    await liked.waitFor();
    await pause(100);
    assert.ok(await liked.evaluate((button) => button === document.activeElement), "the focus stays where it is");
    await tabTo(page, pick.getByRole("button", { name: "Not interested" }));
    await press("Enter");
    const undo = page.getByRole("button", { name: "Undo" });
    const isOnCard = () => page.waitForFunction(() => document.activeElement.id.startsWith("pick-"));
    await undo.waitFor();
    await isOnCard();
    await tabTo(page, undo);
    await press("Enter");
    await undo.waitFor({ state: "detached" });
    await isOnCard();
    await press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Watch", "it goes on where the card is");
    clean(page);
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
