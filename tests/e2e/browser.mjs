// What every test of the board shares: Chromium, people, data, and a page that complains about whatever goes wrong in it.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";

import { createClient } from "@supabase/supabase-js";
import { chromium } from "playwright-core";
import postgres from "postgres";
import ws from "ws";

const { BOARD_URL, CHROMIUM, DATABASE_URL, SUPABASE_URL, SUPABASE_SECRET_KEY } = process.env;
export const PASSWORD = "long-enough-for-a-test";
export const WITHIN_MS = 10_000;
const FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];
const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

// Neither is reached by a test: a picture is one pixel; the player says that it plays, or that it may not be
// embedded (`context.broken`).
const PIXEL = Buffer.from("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7", "base64");
const PLAYER = `<!doctype html><title>player</title><script>
    let isHeard = false;
    addEventListener("message", ({ data }) => {
        if (isHeard || JSON.parse(data).event !== "listening") return;
        isHeard = true;
        const say = (event, info) => parent.postMessage(JSON.stringify({ event, info, id: 1, channel: "widget" }), "*");
        if (%broken%) return say("onError", 150);
        say("onStateChange", 1);
        for (let second = 1; second <= 29; second++) say("infoDelivery", { currentTime: second, duration: 30 });
    });
</script>`;

export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
export const mark = () => randomUUID().slice(0, 8);
export const sql = postgres(DATABASE_URL, { max: 2, onnotice: () => {} });
export const service = createClient(SUPABASE_URL, SUPABASE_SECRET_KEY, {
    auth: { persistSession: false, autoRefreshToken: false },
    realtime: { transport: ws },
});

export async function ok(request) {
    const { data, error } = await request;
    assert.ifError(error);
    return data;
}

export async function until(isSo, what, within = WITHIN_MS) {
    const deadline = Date.now() + within;
    for (;;) {
        const answer = await isSo();
        if (answer) return answer;
        assert.ok(Date.now() < deadline, `not within ${within} ms: ${what}`);
        await pause(50);
    }
}

let browser;
const opened = new Set();
const people = new Set();

/** A page of its own context: `page.problems` collects what no page may have. */
export async function open({ language = "en", scheme = "light", width = 1280, height = 900, state, path = "" } = {}) {
    browser ??= chromium.launch({ executablePath: CHROMIUM, headless: true, args: FLAGS });
    const context = await (await browser).newContext({
        colorScheme: scheme,
        locale: language === "ko" ? "ko-KR" : "en-US",
        reducedMotion: "reduce",
        storageState: state,
        viewport: { width, height },
    });
    opened.add(context);
    await context.route("https://i.ytimg.com/**", (route) => route.fulfill({ contentType: "image/gif", body: PIXEL }));
    await context.route("https://www.youtube-nocookie.com/**", (route) =>
        route.fulfill({ contentType: "text/html", body: PLAYER.replace("%broken%", String(context.broken ?? false)) }),
    );
    const page = await context.newPage();
    page.setDefaultTimeout(WITHIN_MS);
    page.problems = [];
    page.on("console", (message) => {
        if (["error", "warning"].includes(message.type())) page.problems.push(`console: ${message.text()}`);
    });
    page.on("pageerror", (error) => page.problems.push(`uncaught: ${error.message}`));
    page.on("dialog", (dialog) => {
        page.problems.push(`dialog: ${dialog.message()}`);
        void dialog.dismiss();
    });
    page.on("requestfailed", (request) => {
        // A page that is left ends what it still asked for.
        const { errorText } = request.failure() ?? {};
        if (errorText !== "net::ERR_ABORTED") page.problems.push(`request: ${request.url()} ${errorText}`);
    });
    await page.goto(`${BOARD_URL}/${path}`);
    await page.getByRole("main").waitFor();
    return page;
}

/** Goes to a page of the board as a link does, and waits for its heading. */
export async function visit(page, name) {
    await go(page, name);
    await page.getByRole("heading", { level: 1 }).first().waitFor();
    await settled(page);
}

/** Nothing loads any more. */
export async function settled(page) {
    await page.waitForFunction(() => document.querySelectorAll(".loading, [aria-busy=true]").length === 0);
    await page.waitForLoadState("networkidle").catch(() => {}); // a live page may never be idle
}

/** Goes where the address says and waits for nothing: for what is shown before the answer is there. */
export const go = (page, to) => page.evaluate((hash) => (location.hash = hash), `#/${to}`);

/** What a page may have that was cut off or refused on purpose: Chromium itself tells of each request that failed. */
export function onlyRefusals(page) {
    const told = /Failed to load resource|ERR_INTERNET_DISCONNECTED|WebSocket connection|^request: /;
    assert.deepEqual(
        page.problems.filter((problem) => !told.test(problem)),
        [],
    );
}

export function clean(page) {
    assert.deepEqual(page.problems, [], "the page had problems");
}

/** Serious and critical violations, each as one line. */
export async function violations(page) {
    // By the debugger, not by a script element: the page's policy would refuse that.
    await page.evaluate(await (await import("node:fs/promises")).readFile(axe, "utf8"));
    const { violations: found } = await page.evaluate(() =>
        globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }),
    );
    return found
        .filter(({ impact }) => impact === "serious" || impact === "critical")
        .flatMap(({ id, nodes }) => nodes.map(({ html, any }) => `${id}: ${html.slice(0, 160)} ${any[0]?.message ?? ""}`));
}

/** Somebody with an account, made by the service; tiers and roles are the service's to give. */
export async function person({ tier, seconds, role } = {}) {
    const email = `${randomUUID()}@example.com`;
    const { user } = await ok(
        service.auth.admin.createUser({
            email,
            password: PASSWORD,
            email_confirm: true,
            app_metadata: role ? { role } : {},
        }),
    );
    people.add(user.id);
    if (tier) await giveTier(user.id, tier, seconds);
    return { id: user.id, email };
}

export async function giveTier(id, tier, seconds = 3600) {
    const ends = new Date(Date.now() + seconds * 1000).toISOString();
    await ok(service.from("user_tiers").upsert({ user_id: id, tier, expires_at: ends, source: "operator" }));
}

export function forget(id) {
    people.add(id);
}

export async function signIn(page, { email }) {
    await visit(page, "signin");
    const main = page.getByRole("main");
    await main.getByLabel("Email").fill(email);
    await main.getByLabel("Password").fill(PASSWORD);
    await main.getByRole("button", { name: "Sign in", exact: true }).click();
    await page.getByRole("link", { name: "Profile" }).waitFor();
}

/** What the jobs do every minute: search and feed read cards, what is typed is completed from the suggestions. */
export async function fold() {
    for (let round = 0; round < 100; round++) {
        await sql`select private.fold_video_cards()`;
        const [{ left }] = await sql`select count(*)::int as left from private.card_marks`;
        if (left === 0) break;
    }
    await sql`select private.refresh_suggestions()`;
}

/** Videos that play, found by `keyword`; rows may say more. */
export async function storeVideos(keyword, rows) {
    const videos = rows.map((row, number) => ({
        video_id: `e${mark()}_${number}`,
        duration: 30,
        is_embeddable: true,
        privacy_status: "public",
        published_at: new Date(Date.now() - 3600_000 * (number + 1)).toISOString(),
        view_count: 1000 * (number + 1),
        like_count: 100,
        category_id: 26,
        category_name: "Howto & Style",
        ...row,
    }));
    await ok(service.from("cached_videos").insert(videos));
    await ok(
        service.from("keyword_video_mappings").insert(
            videos.map(({ video_id }) => ({ keyword, video_id, relevance_score: 0.9, confidence_level: 0.9 })),
        ),
    );
    await fold();
    return videos.map(({ video_id }) => video_id);
}

/** People first: what they did refers to the videos. */
export async function removeVideos(ids) {
    await removePeople();
    await sql`delete from public.keyword_video_mappings where video_id = any(${ids})`;
    await sql`delete from public.cached_videos where video_id = any(${ids})`;
    await fold();
}

async function removePeople() {
    for (const id of people) await ok(service.auth.admin.deleteUser(id));
    people.clear();
}

/** Ends what the tests of one file have open. */
export async function close() {
    for (const context of opened) await context.close();
    await (await browser)?.close();
    await removePeople();
    await sql.end();
}
