/// <reference types="vite/client" />
import { beforeAll, expect, test, vi } from "vitest";

// What a browser has and node has not.
vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener() {} }));
vi.stubGlobal("document", { documentElement: { dataset: {} } });
vi.stubGlobal("localStorage", { getItem: () => null, setItem() {} });
vi.stubGlobal("navigator", { language: "en-US", onLine: true });
vi.stubGlobal("location", { hash: "" });
vi.stubGlobal("addEventListener", () => {});

let format: typeof import("../src/lib/format.ts");
let settings: typeof import("../src/settings.ts");
let said: typeof import("../src/messages.ts");
let router: typeof import("../src/router.ts");
beforeAll(async () => {
    format = await import("../src/lib/format.ts");
    settings = await import("../src/settings.ts");
    said = await import("../src/messages.ts");
    router = await import("../src/router.ts");
});

test("intervals and ranges as Postgres writes them", () => {
    expect(format.intervalSeconds("2 days 03:30:00")).toBe(2 * 86_400 + 3.5 * 3_600);
    expect(format.intervalSeconds("00:45:00")).toBe(2_700);
    expect(format.rangeEnds("[0.3,0.7]")).toEqual([0.3, 0.7]);
    expect(format.rangeEnds("empty")).toBeNull();
});

test("numbers and times in the language of now", () => {
    settings.language.value = "en";
    expect(format.growth(320)).toBe("+320%");
    expect(format.clock(75)).toBe("1:15");
    const now = Date.parse("2026-07-10T00:00:00Z");
    expect(format.ago("2026-07-09T22:00:00Z", now)).toBe("2 hours ago");
    settings.language.value = "ko";
    expect(format.ago("2026-07-09T22:00:00Z", now)).toBe("2시간 전");
    expect(format.compact(123_000)).toBe("12.3만");
});

test("every message is in both languages, with the same placeholders", () => {
    const placeholders = (text: string) => (text.match(/\{\w+\}/g) ?? []).sort().join();
    for (const [key, [en, ko]] of Object.entries(said.messages)) {
        expect(en, key).not.toBe("");
        expect(ko, key).not.toBe("");
        expect(placeholders(ko), key).toBe(placeholders(en));
    }
});

test("every health check and every kind of alert of the database has its words", () => {
    const schemas = import.meta.glob<string>("../../supabase/schemas/**/*.sql", { query: "?raw", import: "default", eager: true });
    const text = Object.values(schemas).join("\n");
    const named = (of: RegExp) => [...new Set([...text.matchAll(of)].map(([, name]) => name!))];
    const checks = named(/create function private\.(\w+)_health\(at timestamptz\)/g);
    const alerts = named(/perform ops\.raise_alert\(\s*'(\w+)'/g);
    expect(checks).toContain("audit_chain");
    expect(alerts).toContain("health");
    const keys = [...checks.flatMap((name) => [`check.${name}`, `rule.${name}`]), ...alerts.map((name) => `alert.${name}`)];
    expect(keys.filter((key) => !Object.hasOwn(said.messages, key))).toEqual([]);
});

test("what is put into a message is not looked at again", () => {
    settings.language.value = "en";
    expect(said.t("why.keyword", { what: "{what} $& <b>" })).toBe("Your keyword {what} $& <b>");
});

test("an address is read as it was written", () => {
    expect(router.link("search", { q: "맛집 & ?#", category: "" })).not.toContain("category");
    const { page, params } = router.readRoute(router.link("search", { q: "맛집 & ?#" }));
    expect([page, params.get("q")]).toEqual(["search", "맛집 & ?#"]);
    expect(router.readRoute("").page).toBe("trends");
});
