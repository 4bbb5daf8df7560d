// What stands on each page while there is nothing to show: loading, empty, failed, offline, signed out, tier ended.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { after, before, describe, test } from "node:test";

import { PASSWORD, clean, close, giveTier, go, onlyRefusals, open, person, settled, signIn, sql, visit } from "./browser.mjs";

const FOLDER = `${process.env.SCREENSHOTS}/states`;
const NO_PAGE = { videos: [], facets: { categories: [], durations: [] }, total: 0, total_is_exact: true, next_cursor: null };
const NO_REPORT = { dead_letters: { count: 0, letters: [] } }; // any other section is a list
// `asks`: what the page cannot do without. `says`: what it says of the `empty` answer.
const READING = [
    { page: "trends", asks: "rpc/trending_now", empty: [], says: "Nothing trends here right now." },
    { page: "trends", name: "trends-premium", tier: "premium", asks: "trending_keywords", empty: [], says: "Nothing trends here right now." },
    { page: "search?q=nothing", asks: "rpc/search_videos", empty: { ...NO_PAGE, how: "none" }, says: "Nothing was found." },
    { page: "feed", tier: "free", asks: "rpc/personalized_feed", empty: NO_PAGE, says: "There is nothing to pick from yet." },
    { page: "onboarding", tier: "free", asks: "user_profiles" },
    { page: "profile", tier: "free", asks: "notifications", empty: [], says: "No notifications yet." },
    { page: "webhooks", tier: "premium", asks: "webhook_endpoints", empty: [], says: "No endpoint yet. Add the first one above." },
    {
        page: "operator",
        tier: "premium",
        asks: "rpc/operator_report",
        empty: ({ section }) => NO_REPORT[section] ?? [],
        says: ["Nothing is checked here.", "No alert is open.", "Nothing was given up.", "Nothing is scheduled."],
    },
];
const FORMS = [
    { page: "signin", asks: "auth/v1/token", fills: { Email: "who@example.com", Password: PASSWORD }, button: "Sign in" },
    { page: "signin?new=1", asks: "auth/v1/signup", fills: { Email: "who@example.com", Password: PASSWORD }, button: "Sign up" },
    { page: "recover", asks: "auth/v1/recover", fills: { Email: "who@example.com" }, button: "Send the mail" },
];
const states = {};

before(async () => {
    mkdirSync(FOLDER, { recursive: true });
    for (const [tier, role] of [["free"], ["premium", "admin"]]) {
        const page = await open();
        await signIn(page, await person({ tier, role }));
        states[tier] = await page.context().storageState();
        await page.context().close();
    }
});

after(close);

const look = (page, name) => page.screenshot({ path: `${FOLDER}/${name}.png` });
const loading = (page) => page.getByRole("main").getByRole("status", { name: "Loading" }).first();
const alert = (page) => page.getByRole("main").getByRole("alert").filter({ hasText: /\S/ }).first();
const offline = (page) => page.getByRole("main").getByText("You are offline.", { exact: true }).first();

/** Stands before the answers of `asks`: holds them until `release` lets `empty` through, refuses, cuts off, or is open. */
async function between(page, asks, empty) {
    const door = { mode: "open" };
    let held;
    await page.context().route(`**/${asks.includes("auth/") ? asks : `rest/v1/${asks}`}*`, async (route) => {
        if (door.mode === "hold") {
            await held;
            if (empty) return route.fulfill({ json: typeof empty === "function" ? empty(route.request().postDataJSON()) : empty });
        }
        if (door.mode === "broken") return route.fulfill({ status: 500, json: { message: "broken on purpose" } });
        return door.mode === "cut" ? route.abort("internetdisconnected") : route.fallback();
    });
    door.hold = () => {
        door.mode = "hold";
        held = new Promise((resolve) => (door.release = resolve));
    };
    return door;
}

describe("each page that reads, and each form", { concurrency: 3 }, () => {
    for (const { page: path, name = path.split("?")[0], tier, asks, empty, says } of READING) {
        test(`${name}: loading, ${says ? "empty, " : ""}failed, offline`, async () => {
            const page = await open({ state: states[tier], path: "#/nowhere" });
            const door = await between(page, asks, empty);
            door.hold();
            await go(page, path);
            await loading(page).waitFor();
            await look(page, `${name}-loading`);
            if (says) {
                door.release();
                for (const text of [says].flat()) await page.getByText(text, { exact: true }).first().waitFor();
                await loading(page).waitFor({ state: "detached" });
                await look(page, `${name}-empty`);
            }

            await go(page, "nowhere");
            door.mode = "broken";
            await go(page, path);
            await alert(page).waitFor();
            assert.match(await alert(page).innerText(), /That did not work.\s+broken on purpose/);
            await look(page, `${name}-failed`);
            door.mode = "open";
            await loading(page).waitFor({ state: "detached" });
            const again = page.getByRole("button", { name: "Try again" });
            // From the last one up: one that is answered goes, and those above stay where they are.
            for (let place = (await again.count()) - 1; place >= 0; place--) {
                // The live list is read again without it too, when it has joined.
                await again.nth(place).click({ timeout: 2_000 }).catch(() => {});
            }
            await alert(page).waitFor({ state: "detached" });

            await go(page, "nowhere");
            door.mode = "cut";
            await page.context().setOffline(true);
            await go(page, path);
            await offline(page).waitFor();
            await page.getByText("You are offline. What you see is from before.").waitFor();
            assert.equal(await alert(page).count(), 0, "nothing is wrong with what was asked");
            await look(page, `${name}-offline`);
            door.mode = "open";
            await page.context().setOffline(false);
            await offline(page).waitFor({ state: "detached" });
            await loading(page).waitFor({ state: "detached" });
            onlyRefusals(page);
        });
    }

    for (const { page: path, asks, fills, button } of FORMS) {
        const name = path === "signin?new=1" ? "signup" : path;
        test(`${name}: working, failed, offline`, async () => {
            const page = await open({ path: `#/${path}` });
            const main = page.getByRole("main");
            for (const [label, value] of Object.entries(fills)) await main.getByLabel(label).fill(value);
            const door = await between(page, asks);
            door.mode = "broken";
            await main.getByRole("button", { name: button, exact: true }).click();
            await alert(page).getByText("That did not work.").waitFor();
            await look(page, `${name}-failed`);
            door.hold();
            await main.getByRole("button", { name: button, exact: true }).click();
            await main.getByRole("button", { name: "Loading", disabled: true }).waitFor();
            await look(page, `${name}-loading`);
            await page.context().setOffline(true);
            door.mode = "cut";
            door.release();
            await alert(page).getByText("You are offline.", { exact: true }).waitFor();
            await look(page, `${name}-offline`);
            await page.context().setOffline(false);
            onlyRefusals(page);
        });
    }
});

test("a tier that cannot be read is told, with a way on", async () => {
    const page = await open({ state: states.premium });
    const door = await between(page, "user_tiers");
    door.mode = "broken";
    for (const path of ["trends", "webhooks"]) {
        door.mode = "broken";
        await go(page, path);
        await page.reload();
        await alert(page).getByText("broken on purpose").waitFor();
        await look(page, `${path}-tier-failed`);
        door.mode = "open";
        await page.getByRole("button", { name: "Try again" }).click();
        await alert(page).waitFor({ state: "detached" });
    }
    await page.getByRole("heading", { name: "Add an endpoint" }).waitFor();
    onlyRefusals(page);
});

test("a board that cannot read where its project is says so", async () => {
    const page = await open();
    await page.context().route("**/config.json", (route) => route.fulfill({ status: 404, body: "" }));
    await page.reload();
    await alert(page).getByText("config.json: 404").waitFor();
    await look(page, "board-failed");
    await page.context().unroute("**/config.json");
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByRole("heading", { level: 1, name: "Trends" }).waitFor();
    onlyRefusals(page);
});

test("who is signed out is asked in, and is then where they wanted to be", async () => {
    const page = await open();
    for (const path of ["feed", "onboarding", "profile", "operator", "webhooks"]) {
        await visit(page, path);
        const link = page.getByRole("main").getByRole("link", { name: "Sign in" });
        assert.equal(await link.getAttribute("href"), `#/signin?next=${encodeURIComponent(`#/${path}`)}`);
        await look(page, `${path}-signed-out`);
    }
    const someone = await person();
    await page.getByRole("main").getByRole("link", { name: "Sign in" }).click();
    await page.getByLabel("Email").fill(someone.email);
    await page.getByLabel("Password").fill(PASSWORD);
    await page.getByRole("main").getByRole("button", { name: "Sign in" }).click();
    await page.waitForURL(/#\/webhooks$/);
    await page.getByText("Webhooks need premium.").waitFor();
    await look(page, "webhooks-free");
    clean(page);
});

test("a tier that has ended is told as such on each page where it mattered", async () => {
    const someone = await person({ tier: "premium" });
    await sql`insert into public.webhook_endpoints (user_id, url, event_types)
        values (${someone.id}, 'https://hooks.ondol.example/ended', '{trend.detected}')`;
    await giveTier(someone.id, "premium", 0);
    const page = await open();
    await signIn(page, someone);
    for (const [path, says] of [
        ["trends", /Your premium has ended. This is the limited list/],
        ["profile", /Your premium has ended: trends are limited/],
        ["webhooks", /Your premium has ended: nothing is sent any more./],
    ]) {
        await visit(page, path);
        await page.getByText(says).waitFor();
        await look(page, `${path}-ended`);
    }
    await page.getByText("Paused: premium has ended").waitFor();
    for (const name of ["Send test", "Rotate secret"]) assert.ok(await page.getByRole("button", { name }).isDisabled(), name);
    for (const name of ["Log", "Switch off", "Remove"]) assert.ok(await page.getByRole("button", { name }).isEnabled(), name);
    await settled(page);
    clean(page);
});
