// A person's first day on the board: sign up, onboard, search, watch, like, and a feed that answers to it.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";

import { PASSWORD, clean, close, forget, open, removeVideos, settled, sql, storeVideos, until, visit } from "./browser.mjs";

let videos;

before(async () => {
    const names = ["성수동 맛집 투어", "을지로 노포 맛집", "제주 맛집 지도", "부산 돼지국밥 맛집", "망원동 디저트 맛집", "혼밥 맛집 모음"];
    videos = await storeVideos(
        "맛집",
        Array.from({ length: 24 }, (_, number) => ({
            title: `${names[number % names.length]} ${number + 1}`,
            channel_name: `채널 ${number % 5}`,
        })),
    );
});

after(async () => {
    await removeVideos(videos);
    await close();
});

const titles = (page) => page.getByRole("article").getByRole("heading").allInnerTexts();

test("sign up, onboard, search 맛집, watch, like: the feed changes", async () => {
    const page = await open();
    const email = `${randomUUID()}@example.com`;

    await visit(page, "signin");
    const main = page.getByRole("main");
    await main.getByRole("button", { name: /sign up|create an account|new here/i }).first().click();
    await main.getByLabel("Email").fill(email);
    await main.getByLabel("Password").fill(PASSWORD);
    await main.getByRole("button", { name: /sign up|create/i }).last().click();

    await until(() => page.url().includes("onboarding"), "onboarding follows the sign-up");
    const [{ id }] = await sql`select id from auth.users where email = ${email}`;
    forget(id);
    await settled(page);
    await main.getByRole("checkbox").first().check();
    await main.getByRole("textbox", { name: /keyword/i }).fill("맛집");
    await main.getByRole("textbox", { name: /keyword/i }).press("Enter");
    await main.getByRole("button", { name: /save|start|done/i }).first().click();
    await until(() => page.url().includes("feed"), "the feed follows the onboarding");
    await page.getByRole("article").first().waitFor();
    const before = await titles(page);

    await visit(page, "search");
    await main.getByRole("combobox").or(main.getByRole("searchbox")).first().fill("맛집");
    await page.keyboard.press("Enter");
    await main.locator("mark").first().waitFor();
    assert.equal(await main.locator("mark").first().innerText(), "맛집");

    await visit(page, "feed");
    const first = page.getByRole("article").first();
    const title = await first.getByRole("heading").innerText();
    await first.getByRole("button", { name: /watch|play/i }).first().click();
    await page.locator("iframe[src^='https://www.youtube-nocookie.com/']").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("article").filter({ hasText: title }).getByRole("button", { name: /^like/i }).click();
    await until(
        async () => (await sql`select count(*)::int as n from public.video_interactions where user_id = ${id}`)[0].n > 0,
        "the like is stored",
    );
    await until(async () => {
        await visit(page, "search");
        await visit(page, "feed");
        await page.getByRole("article").first().waitFor();
        const now = await titles(page);
        return now[0] !== before[0] && !now.includes(title);
    }, "the feed changed", 20_000);
    clean(page);
});
