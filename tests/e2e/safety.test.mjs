// What strangers write stays text: payloads in every place where the board shows it, under the policy that is served.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import {
    WITHIN_MS,
    clean,
    close,
    fold,
    mark,
    ok,
    open,
    pause,
    person,
    removeVideos,
    service,
    settled,
    signIn,
    sql,
    storeVideos,
    visit,
} from "./browser.mjs";

const own = `x${mark()}`;
// Each would call alert, leave an element with the attribute data-xss, or send the reader away.
const PAYLOADS = [
    `<script>alert(1)</script>`,
    `<img src=x onerror=alert(1) data-xss>`,
    `"><svg/onload=alert(1) data-xss>`,
    `'><iframe srcdoc="<script>parent.alert(1)</script>" data-xss></iframe>`,
    `</title><script>alert(1)</script><title>`,
    `javascript:alert(1)`,
    `<a href="javascript:alert(1)" data-xss>맛집</a>`,
    `<style data-xss>*{display:none!important}</style>`,
    `<base href="https://evil.example/" data-xss>`,
    `<meta http-equiv=refresh content="0;url=https://evil.example/" data-xss>`,
    `<form action=https://evil.example data-xss><button>Sign in</button></form>`,
    `<mark onmouseover=alert(1) data-xss>맛집</mark>`,
    `&lt;img src=x onerror=alert(1)&gt;`,
    `\${alert(1)}{{constructor.constructor('alert(1)')()}}`,
    `" autofocus onfocus=alert(1) data-xss x="`,
    `\u202egnp.exe\u2066<b data-xss>x`,
    `__proto__`,
];
const IN_TURN = PAYLOADS.map((payload, number) => ({ payload, name: `${own} ${number} ${payload}` }));
let videos;

before(async () => {
    await ok(
        service.from("cached_channels").insert(
            IN_TURN.map(({ name }, number) => ({ channel_id: `UC${own}${number}`, channel_title: name.slice(0, 200) })),
        ),
    );
    videos = await storeVideos(
        own,
        IN_TURN.map(({ name, payload }, number) => ({
            title: name,
            description: name,
            channel_id: `UC${own}${number}`,
            channel_name: name.slice(0, 250),
            thumbnail_url: number % 2 ? payload.slice(0, 200) : null,
            tags: [payload],
            category_name: payload.slice(0, 100),
        })),
    );
    for (const { name } of IN_TURN) {
        await sql`insert into public.keyword_video_mappings (keyword, video_id, relevance_score)
            values (${name.slice(0, 250)}, ${videos[0]}, 1)`;
    }
    await fold();
});

after(async () => {
    await sql`delete from public.trending_keywords where keyword like ${`${own}%`}`;
    await removeVideos(videos);
    await ok(service.from("cached_channels").delete().like("channel_id", `UC${own}%`));
    await close();
});

/** Nothing became an element, nothing ran, nobody was sent away, and the policy had nothing to stop. */
async function harmless(page, board) {
    await pause(300);
    const found = await page.evaluate(() => ({
        elements: document.querySelectorAll("[data-xss], main script, main style, main base, main meta").length,
        links: [...document.querySelectorAll("a[href], area[href], form[action], iframe[src], img[src]")]
            .map((each) => each.getAttribute("href") ?? each.getAttribute("src") ?? each.getAttribute("action"))
            .filter((address) => !/^(#|\.\/|\/|https:\/\/(i\.ytimg\.com|www\.youtube-nocookie\.com|www\.youtube\.com|youtu\.be)\/)/.test(address)),
        polluted: Object.keys(Object.prototype),
    }));
    assert.deepEqual(found, { elements: 0, links: [], polluted: [] });
    assert.ok(page.url().startsWith(board));
    clean(page);
}

async function watched(options) {
    const page = await open(options);
    await page.addInitScript(() =>
        addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI, sample }) =>
            console.error("policy", violatedDirective, blockedURI, sample),
        ),
    );
    await page.reload();
    await page.getByRole("main").waitFor();
    return page;
}

test("payloads in titles, descriptions, channels and thumbnails of search and feed", async () => {
    const page = await watched();
    const board = new URL(page.url()).origin;
    await signIn(page, await person({ tier: "premium" }));
    await visit(page, `search?q=${encodeURIComponent(own)}`);
    await page.getByText(own).first().waitFor();
    await harmless(page, board);
    await visit(page, "feed");
    await page.getByRole("article").first().waitFor();
    await harmless(page, board);
});

test("payloads in keywords, on the live board and as suggestions", async () => {
    const page = await watched();
    const board = new URL(page.url()).origin;
    await signIn(page, await person({ tier: "premium" }));
    await visit(page, "trends");
    await pause(500);
    for (const { name } of IN_TURN) {
        await sql`insert into public.trending_keywords (keyword, trend_score, category, related_keywords, hourly_trend_data)
            values (${name.slice(0, 250)}, 0.79, ${name.slice(0, 90)}, ${[name]}, '[1, 2, 3]')`;
    }
    await page.getByText(own).nth(3).waitFor({ timeout: WITHIN_MS });
    await harmless(page, board);
    await visit(page, "search");
    await page.getByRole("main").locator("input").first().pressSequentially(own, { delay: 20 });
    await settled(page);
    await harmless(page, board);
});

test("payloads in the address: the route, what is searched and where to go after signing in", async () => {
    const page = await watched();
    const board = new URL(page.url()).origin;
    for (const { payload } of IN_TURN) {
        for (const path of [payload, `search?q=${encodeURIComponent(payload)}`, `signin?next=${encodeURIComponent(payload)}`]) {
            await page.evaluate((to) => (location.hash = to), `#/${path}`);
            await pause(60);
        }
    }
    await settled(page);
    await harmless(page, board);
    const someone = await person();
    await visit(page, `signin?next=${encodeURIComponent("javascript:alert(1)")}`);
    await page.getByRole("main").getByLabel("Email").fill(someone.email);
    await page.getByRole("main").getByLabel("Password").fill("long-enough-for-a-test");
    await page.getByRole("main").getByRole("button", { name: "Sign in", exact: true }).click();
    await page.getByRole("link", { name: "Profile" }).waitFor();
    await harmless(page, board);
});

test("the policy holds by itself: a page that did make markup of text would run nothing", async () => {
    const page = await open();
    const ran = await page.evaluate(async () => {
        const stopped = [];
        addEventListener("securitypolicyviolation", ({ effectiveDirective }) => stopped.push(effectiveDirective));
        const place = document.createElement("div");
        place.innerHTML = `<img src=x onerror="globalThis.ran = 1"><svg onload="globalThis.ran = 1"></svg>
            <iframe srcdoc="<script>parent.ran = 1</script>"></iframe><a href="javascript:globalThis.ran = 1">x</a>`;
        document.body.append(place);
        const script = document.createElement("script");
        script.textContent = "globalThis.ran = 1";
        document.body.append(script);
        place.querySelector("a").click();
        await fetch("https://evil.example/").catch(() => {});
        await new Promise((resolve) => setTimeout(resolve, 500));
        return { ran: globalThis.ran ?? 0, stopped: [...new Set(stopped)].sort() };
    });
    assert.equal(ran.ran, 0);
    for (const directive of ["connect-src", "script-src-attr", "script-src-elem"]) {
        assert.ok(ran.stopped.includes(directive), `${directive} stopped nothing: ${ran.stopped}`);
    }
});
