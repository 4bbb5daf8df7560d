// A forgotten password: the mail's code and its link both lead to a new one.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";

import { PASSWORD, clean, close, onlyRefusals, open, person, signIn, until, visit } from "./browser.mjs";

const { BOARD_URL, MAILS, SUPABASE_URL, SUPABASE_PUBLISHABLE_KEY } = process.env;
const ANOTHER = "another-long-password";

after(close);

async function ask(page, email) {
    await visit(page, "signin");
    await page.getByRole("link", { name: "Forgotten your password?" }).click();
    await page.getByLabel("Email").fill(email);
    await page.getByRole("button", { name: "Send the mail" }).click();
    await page.getByText(`If ${email} has an account, a mail is on its way.`).waitFor();
}

/** The local stack writes its mails to a log. */
const codeFor = (email) => new RegExp(`To: ${email}\\n[^]*?code: (\\d+)`).exec(readFileSync(MAILS, "utf8"))?.[1];

test("by the code of the mail", async () => {
    const page = await open();
    const { email } = await person();
    await ask(page, email);
    const code = await until(() => codeFor(email), "the mail is written");
    const main = page.getByRole("main");
    await main.getByLabel("Code").fill(code === "000000" ? "000001" : "000000");
    await main.getByRole("button", { name: "Continue" }).click();
    await main.getByText("The code is wrong or too old.").waitFor();
    await main.getByLabel("Code").fill(code);
    await main.getByRole("button", { name: "Continue" }).click();

    await main.getByLabel("New password").fill(PASSWORD);
    await main.getByRole("button", { name: "Save" }).click();
    await main.getByText("That is the password you have now.").waitFor();
    await main.getByLabel("New password").fill(ANOTHER);
    await main.getByRole("button", { name: "Save" }).click();
    await main.getByText("Your password is changed.").waitFor();

    await visit(page, "profile");
    await main.getByRole("button", { name: "Sign out" }).click();
    await page.waitForURL(/#\/trends$/);
    await visit(page, "signin");
    await main.getByLabel("Email").fill(email);
    await main.getByLabel("Password").fill(PASSWORD);
    await main.getByRole("button", { name: "Sign in" }).click();
    await main.getByText("Email or password is wrong.").waitFor();
    await main.getByLabel("Password").fill(ANOTHER);
    await main.getByRole("button", { name: "Sign in" }).click();
    await page.waitForURL(/#\/feed$/);
    onlyRefusals(page);
});

test("whether an address has an account is not told", async () => {
    const page = await open();
    await ask(page, "nobody-at-all@example.com");
    clean(page);
});

test("by the link of the mail", async () => {
    const page = await open();
    const { email } = await person();
    await ask(page, email);
    // The local stack's link leads to site_url: what Auth answers to the code of a hosted one is put here in its place.
    await page.context().route("**/auth/v1/token?grant_type=pkce", async (route) => {
        const { code_verifier } = route.request().postDataJSON();
        assert.ok(code_verifier.length >= 43, "the browser that asked proves that it did");
        const signedIn = await fetch(`${SUPABASE_URL}/auth/v1/token?grant_type=password`, {
            method: "POST",
            headers: { apikey: SUPABASE_PUBLISHABLE_KEY, "content-type": "application/json" },
            body: JSON.stringify({ email, password: PASSWORD }),
        });
        await route.fulfill({ json: await signedIn.json() });
    });
    await page.goto(`${BOARD_URL}/?code=from-the-mail`);
    await page.getByRole("main").getByLabel("New password").fill(ANOTHER);
    assert.equal(new URL(page.url()).search, "", "the code is not left in the address");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("Your password is changed.").waitFor();
    clean(page);
});

test("a link that is too old says so, and how to go on", async () => {
    const page = await open({ path: "#error=access_denied&error_code=otp_expired&error_description=%3Cb%3Eold" });
    await page.getByRole("alert").getByText("The link is too old or was used already.").waitFor();
    await page.getByLabel("Email").waitFor();
    clean(page);
});

test("who is signed in changes their password from the profile", async () => {
    const page = await open();
    await signIn(page, await person());
    await visit(page, "profile");
    await page.getByRole("link", { name: "Change password" }).click();
    await page.getByLabel("New password").fill(ANOTHER);
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("Your password is changed.").waitFor();
    clean(page);
});
