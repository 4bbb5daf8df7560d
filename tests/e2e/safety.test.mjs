// What strangers write stays text: payloads in every place where the board shows it, under the policy that is served.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import {
    WITHIN_MS,
    clean,
    close,
    fold,
    go,
    mark,
    ok,
    onlyRefusals,
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
    await sql`delete from ops.outbox where dedupe_key like ${`${own}%`}`;
    await removeVideos(videos);
    await ok(service.from("cached_channels").delete().like("channel_id", `UC${own}%`));
    await close();
});

/** Nothing became an element, nothing ran, nobody was sent away, and the policy had nothing to stop. */
async function harmless(page, board, judge = clean) {
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
    judge(page);
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
    await page.getByRole("button", { name: "Watch" }).first().click();
    await page.getByRole("dialog").locator("iframe").waitFor();
    await harmless(page, board);
    await page.keyboard.press("Escape");
    await visit(page, "feed");
    await page.getByRole("article").first().waitFor();
    await harmless(page, board);
    await page.getByRole("button", { name: "Report" }).first().click();
    await page.getByRole("dialog").getByText(own).first().waitFor();
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

test("payloads in what a person follows, is notified of and calls their webhooks, and in what a server answered these", async () => {
    const page = await watched();
    const board = new URL(page.url()).origin;
    const someone = await person({ tier: "premium" });
    await ok(service.from("user_profiles").update({ preferred_keywords: PAYLOADS }).eq("user_id", someone.id));
    for (const [number, { payload, name }] of IN_TURN.entries()) {
        await sql`insert into public.notifications (user_id, kind, dedupe_key, keyword, region_code, payload)
            values (${someone.id}, 'trend', ${`${own}${number}`}, ${name.slice(0, 250)}, 'KR', '{}')`;
        const [endpoint] = await sql`insert into public.webhook_endpoints (user_id, url, description, event_types)
            values (${someone.id}, ${`https://hooks.ondol.example/${number}?${payload.replaceAll(/\s/g, "/")}`}, ${name.slice(0, 500)},
                '{trend.detected}') returning id`;
        if (number > 2) continue;
        const [outbox] = await sql`insert into ops.outbox (event_type, dedupe_key, data)
            values ('webhook.test', ${`${own} ${number}`}, '{}') returning id`;
        const [{ id }] = await sql`insert into ops.webhook_deliveries
                (outbox_id, endpoint_id, event_type, state, attempt, next_attempt_at, last_status, last_error)
            values (${outbox.id}, ${endpoint.id}, 'webhook.test', 'dead', 1, null, null, ${name}) returning id`;
        await sql`insert into ops.webhook_attempts (delivery_id, replay, attempt, error) values (${id}, 0, 1, ${name})`;
    }
    await signIn(page, someone);
    await visit(page, "profile");
    await page.getByRole("list", { name: "Chosen keywords" }).getByText(PAYLOADS[1]).waitFor();
    await page.locator(".news").getByText(own).first().waitFor();
    await harmless(page, board);
    await visit(page, "webhooks");
    for (const { name } of IN_TURN.slice(0, 3)) {
        const card = page.getByRole("article").filter({ has: page.getByRole("heading", { name, exact: true }) });
        await card.getByRole("button", { name: "Log" }).click();
        await card.locator(".log summary").click();
        await card.locator(".attempts").getByText(name).waitFor();
    }
    await harmless(page, board);
    await page.getByRole("button", { name: "Remove" }).first().click();
    await page.getByRole("dialog").waitFor();
    await harmless(page, board);
});

test("payloads in everything that an operator reads", async () => {
    const page = await watched();
    const board = new URL(page.url()).origin;
    await sql`insert into ops.alerts (kind, subject, message, first_seen_at, last_seen_at)
        values ('health', ${own}, ${own}, now(), now())`;
    await signIn(page, await person({ role: "admin" }));
    // Each text of the answers that is no time becomes a payload, and each figure is called one.
    await page.context().route("**/rest/v1/rpc/operator_report", async (route) => {
        const answer = await route.fetch();
        let turn = 0;
        const next = () => `${own} ${PAYLOADS[turn++ % PAYLOADS.length]}`;
        const json = JSON.parse(await answer.text(), (key, value) => {
            if (key === "figures") return { [next()]: 1, [next()]: 2 };
            if (typeof value !== "string" || key === "severity" || /^\d{4}-/.test(value)) return value;
            return next();
        });
        if (route.request().postDataJSON().section === "dead_letters") {
            json.count = 1;
            json.letters = [{ delivery_id: next(), event_type: next(), endpoint: next(), last_error: next(), can_replay: true, died_at: new Date() }];
        }
        if (route.request().postDataJSON().section === "figures") json.push({ at: new Date(), figures: { [next()]: 3 } });
        await route.fulfill({ json });
    });
    await visit(page, "operator");
    await settled(page);
    for (const summary of await page.locator("main summary").all()) await summary.click();
    for (const name of ["Health checks", "Open alerts", "Dead letters", "Figures over time", "Scheduled jobs", "Partitions"]) {
        await page.getByRole("region", { name }).getByText(own).first().waitFor();
    }
    await harmless(page, board);
    await sql`delete from ops.alerts where subject = ${own}`;
});

test("payloads in what the server refuses with, on each page", async () => {
    const page = await watched();
    const board = new URL(page.url()).origin;
    await signIn(page, await person({ tier: "premium", role: "admin" }));
    await visit(page, "webhooks");
    await page.context().route(/\/rest\/v1\/(?!user_tiers)/, (route) =>
        route.fulfill({ status: 400, json: { code: "PT400", message: `${own} ${PAYLOADS.join(" ")}`, details: PAYLOADS[1], hint: null } }),
    );
    await page.getByLabel("URL").fill("https://hooks.ondol.example/refused");
    await page.getByRole("button", { name: "Add", exact: true }).click();
    await page.getByRole("alert").getByText(own).waitFor();
    for (const path of ["trends", "search?q=x", "feed", "onboarding", "profile", "webhooks", "operator"]) {
        await go(page, path);
        await page.getByRole("alert").getByText(own).first().waitFor();
        await harmless(page, board, onlyRefusals);
    }
});

test("payloads in the address: the route, what is searched and where to go after signing in", async () => {
    const page = await watched();
    const board = new URL(page.url()).origin;
    for (const { payload } of IN_TURN) {
        const written = encodeURIComponent(payload);
        for (const path of [payload, `search?q=${written}`, `signin?next=${written}`, `recover?expired=${written}`]) {
            await go(page, path);
            await pause(60);
        }
    }
    await settled(page);
    await harmless(page, board);
    // What is no region and no number.
    await go(page, `trends?region=${encodeURIComponent(PAYLOADS[1])}`);
    await pause(300);
    await go(page, `search?q=${encodeURIComponent(PAYLOADS[1])}&category=${encodeURIComponent(PAYLOADS[2])}&longest=1e999`);
    await settled(page);
    await harmless(page, board, onlyRefusals);
    const someone = await person();
    await visit(page, `signin?next=${encodeURIComponent("javascript:alert(1)")}`);
    await page.getByRole("main").getByLabel("Email").fill(someone.email);
    await page.getByRole("main").getByLabel("Password").fill("long-enough-for-a-test");
    await page.getByRole("main").getByRole("button", { name: "Sign in", exact: true }).click();
    await page.getByRole("link", { name: "Profile" }).waitFor();
    await harmless(page, board, onlyRefusals);
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
