// A person's first day on the board: sign up, onboard, search, watch, like, and a feed that answers to it.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";

import {
    PASSWORD,
    clean,
    close,
    forget,
    mark,
    open,
    pause,
    person,
    removeVideos,
    settled,
    signIn,
    sql,
    storeVideos,
    until,
    visit,
} from "./browser.mjs";

let videos;

before(async () => {
    const names = ["성수동 맛집 투어", "을지로 노포 맛집", "제주 맛집 지도", "부산 돼지국밥 맛집", "망원동 디저트 맛집", "혼밥 맛집 모음"];
    videos = await storeVideos(
        "맛집",
        Array.from({ length: 24 }, (_, number) => ({
            title: `${names[number % names.length]} ${mark()}`,
            channel_name: `채널 ${number % 5}`,
        })),
    );
});

after(async () => {
    await removeVideos(videos);
    await close();
});

const stored = async (id, kind) =>
    (await sql`select 1 from public.video_interactions where user_id = ${id} and interaction_type = ${kind}`).length > 0;
const titles = (page) => page.getByRole("article").getByRole("heading").allInnerTexts();

test("sign up, onboard, search 맛집, watch, like: the feed changes", async () => {
    const page = await open();
    const email = `${randomUUID()}@example.com`;

    await visit(page, "signin");
    const main = page.getByRole("main");
    await main.getByRole("link", { name: "Sign up" }).click();
    await main.getByLabel("Email").fill(email);
    await main.getByLabel("Password").fill(PASSWORD);
    await main.getByRole("button", { name: "Sign up" }).click();
    const id = await until(
        async () => (await sql`select id from auth.users where email = ${email}`)[0]?.id,
        "there is an account",
    );
    forget(id);
    await page.waitForURL(/onboarding/);
    await settled(page);
    await main.getByRole("checkbox").first().check();
    await main.getByLabel("Keywords", { exact: true }).fill("맛집");
    await main.getByRole("button", { name: "Start" }).click();
    await page.waitForURL(/feed/);
    await page.getByRole("article").first().waitFor();
    assert.match(await main.innerText(), /Your keyword 맛집/, "the feed begins with what was chosen");
    const before = await titles(page);

    await page.getByRole("navigation").getByRole("link", { name: "Search" }).click();
    await main.getByRole("combobox", { name: "Search" }).fill("ㅁㅈ");
    await page.getByRole("option", { name: /맛집/ }).first().waitFor();
    await main.getByRole("combobox", { name: "Search" }).fill("맛집");
    await page.keyboard.press("Enter");
    await main.getByRole("article").locator("mark").first().waitFor();
    assert.equal(await main.getByRole("article").locator("mark").first().innerText(), "맛집");

    await page.getByRole("navigation").getByRole("link", { name: "Feed" }).click();
    const first = page.getByRole("article").first();
    const title = await first.getByRole("heading").innerText();
    assert.equal(title, before[0]);
    await first.getByRole("button", { name: "Watch" }).click();
    await page.getByRole("dialog").locator(`iframe[title="${title}"]`).waitFor();
    await until(async () => (await page.frames()).some((frame) => frame.url().includes("youtube-nocookie")), "it plays");
    await pause(600);
    await page.keyboard.press("Escape");
    await until(() => stored(id, "view"), "the view is stored");
    await page.getByRole("article").filter({ hasText: title }).getByRole("button", { name: "Like" }).click();
    await until(() => stored(id, "like"), "the like is stored");
    const [view] = await sql`select watch_duration, watch_percentage from public.video_interactions
        where user_id = ${id} and interaction_type = 'view'`;
    assert.ok(view.watch_duration >= 25 && view.watch_percentage > 0.8, JSON.stringify(view));

    await main.getByRole("button", { name: "Show what changed" }).click();
    await until(async () => (await titles(page))[0] !== before[0], "the feed changed");
    const now = await titles(page);
    assert.ok(!now.includes(title), "what was watched is not shown again");
    assert.match(await main.innerText(), /Goes with|You like/, "it says why");
    clean(page);
});

test("a video that does not play is told, and leaves the feed; not interested and report do too", async () => {
    const page = await open();
    await signIn(page, await person());
    await page.getByRole("article").first().waitFor();
    const [first, second, broken] = await titles(page);
    const card = (title) => page.getByRole("article").filter({ hasText: title }).first();
    await card(first).getByRole("button", { name: "Not interested" }).click();
    await page.getByText("You will see less of this.").waitFor();
    await card(second).getByRole("button", { name: "Report" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel(/Comment/).fill("<img src=x onerror=alert(1)>");
    await dialog.getByRole("button", { name: "Send report" }).click();
    await page.getByText("Reported. Thank you.").waitFor();

    page.context().broken = true;
    await card(broken).getByRole("button", { name: "Watch" }).click();
    await page.getByRole("dialog").getByRole("alert").waitFor();
    await page.keyboard.press("Escape");
    await page.getByText("It did not play, and we have noted it.").waitFor();
    clean(page);
});
