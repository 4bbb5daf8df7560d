import { expect, test } from "vitest";
import { parts } from "../src/lib/highlight.ts";
import { LISTENING, playerUrl, readPlayer } from "../src/lib/player.ts";
import { tierNow } from "../src/lib/tiers.ts";
import { thumbnail, type Video } from "../src/lib/videos.ts";

const cut = (text: string, highlights: [number, number][]) =>
    parts(text, highlights).map(({ text: part, isFound }) => (isFound ? `[${part}]` : part)).join("");

test("highlights count characters, not UTF-16 units", () => {
    expect(cut("🍲🍲 맛집 🍲", [[3, 2]])).toBe("🍲🍲 [맛집] 🍲");
});

test("highlights that overlap, are out of order or reach beyond the end lose no letter", () => {
    expect(cut("abcdef", [[3, 9], [0, 2], [1, 2]])).toBe("[ab][c][def]");
    expect(cut("abc", [])).toBe("abc");
    expect(cut("", [[0, 1]])).toBe("");
});

test("what the player says of an error is a code that the service takes, in each of its forms", () => {
    expect(readPlayer('{"event":"onError","info":150}')).toEqual({ error: 150 });
    expect(readPlayer('{"event":"onError","info":"101"}')).toEqual({ error: 101 });
    expect(readPlayer('{"event":"onError","info":{"errorCode":153}}')).toEqual({ error: 153 });
    expect(readPlayer('{"event":"onError","info":7}')).toEqual({});
});

test("where the player is, and that it plays", () => {
    expect(readPlayer('{"event":"infoDelivery","info":{"currentTime":3.5,"duration":30,"playerState":1}}')).toEqual({
        currentTime: 3.5,
        duration: 30,
        state: 1,
    });
    expect(readPlayer('{"event":"onStateChange","info":0}')).toEqual({ state: 0 });
});

test("what is no message of the player is none", () => {
    for (const data of [null, 3, {}, "", "null", "[", '"x"']) expect(readPlayer(data)).toBeNull();
    for (const data of ['{"event":"infoDelivery","info":null}', '{"event":"infoDelivery","info":{"currentTime":"x"}}'])
        expect(readPlayer(data)!.currentTime).toBeUndefined();
    expect(JSON.parse(LISTENING).event).toBe("listening");
});

test("a video id cannot lead the player elsewhere", () => {
    const url = new URL(playerUrl("../x?y=1#", { isAutomatic: true, language: "ko", origin: "http://here" }));
    expect(url.origin).toBe("https://www.youtube-nocookie.com");
    expect(url.pathname).toBe("/embed/..%2Fx%3Fy%3D1%23");
    expect(url.searchParams.get("origin")).toBe("http://here");
});

test("a tier counts until its end, and an ended premium is told from none", () => {
    const at = Date.parse("2026-07-10T00:00:00Z");
    const row = (tier: "premium" | "trial", expires_at: string | null) => ({ tier, expires_at });
    expect(tierNow(null, at)).toEqual({ tier: "free", isPremium: false, isExpired: false });
    expect(tierNow(row("premium", null), at)).toEqual({ tier: "premium", isPremium: true, isExpired: false });
    expect(tierNow(row("premium", "2026-07-10T00:00:01Z"), at).isPremium).toBe(true);
    expect(tierNow(row("premium", "2026-07-10T00:00:00Z"), at)).toEqual({ tier: "free", isPremium: false, isExpired: true });
    expect(tierNow(row("trial", "2026-07-09T00:00:00Z"), at)).toEqual({ tier: "free", isPremium: false, isExpired: false });
});

test("pictures come from YouTube alone", () => {
    const of = (thumbnail_url: string | null) => thumbnail({ thumbnail_url } as Video);
    expect(of("https://i.ytimg.com/vi/abc/hqdefault.jpg")).toContain("i.ytimg.com");
    for (const url of [null, "https://i.ytimg.com.evil.example/x", "http://i.ytimg.com/x", "javascript:alert(1)"]) expect(of(url)).toBeNull();
});
