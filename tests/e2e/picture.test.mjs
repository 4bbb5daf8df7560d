// The picture of the README: the live board as premium sees it, with trends of an afternoon.
import { mkdirSync } from "node:fs";
import { after, test } from "node:test";

import { clean, close, open, person, signIn, sql, visit } from "./browser.mjs";

const { SCREENSHOTS } = process.env;
// Keyword, score, growth, minutes ago, mentions of the last 24 hours, what is expected of it tomorrow.
const TRENDS = [
    ["두바이 쫀득 쿠키", 0.79, 412, 3, (hour) => 4 + 95 / (1 + Math.exp((19 - hour) / 1.6)), [0.86, 0.78, 0.93]],
    ["성수동 팝업", 0.76, 286, 8, (hour) => 20 + 3 * Math.sin(hour) + 1.45 ** Math.max(hour - 12, 0), [0.8, 0.71, 0.88]],
    ["러닝 크루", 0.71, 174, 14, (hour) => 30 + 22 * Math.sin((hour - 3) / 3.2) + hour, [0.69, 0.58, 0.79]],
    ["홈카페 레시피", 0.66, 121, 21, (hour) => 18 + 9 * Math.sin(hour / 2.2) + hour / 1.4, [0.64, 0.52, 0.75]],
    ["키링 꾸미기", 0.61, 68, 33, (hour) => 12 + 6 * Math.cos(hour / 1.9) + hour / 2, [0.55, 0.42, 0.68]],
];
const keywords = TRENDS.map(([keyword]) => keyword);

async function remove() {
    await sql`delete from public.trending_keywords where keyword = any(${keywords})`;
    await sql`delete from public.trend_predictions where keyword = any(${keywords})`;
}

after(async () => {
    await remove();
    await close();
});

test("a picture of the board", async () => {
    mkdirSync(SCREENSHOTS, { recursive: true });
    await remove();
    for (const [keyword, score, growth, minutes, mentions, [expected, from, to]] of TRENDS) {
        const hours = JSON.stringify(Array.from({ length: 24 }, (_, hour) => Math.max(Math.round(mentions(hour)), 0)));
        await sql`insert into public.trending_keywords (keyword, trend_score, growth_rate, hourly_trend_data, search_volume,
                detected_at, predicted_peak_time, predicted_duration, category, related_keywords)
            values (${keyword}, ${score}, ${growth}, ${hours}::text::jsonb, ${Math.round(mentions(23))},
                now() - make_interval(mins => ${minutes}), now() + interval '5 hours', interval '16 hours', '푸드',
                '{두바이 초콜릿,피스타치오,쫀득 쿠키}')`;
        await sql`insert into public.trend_predictions (keyword, prediction_date, predicted_for_date, predicted_score,
                confidence_interval, confidence_level)
            values (${keyword}, (now() at time zone 'Asia/Seoul')::date, (now() at time zone 'Asia/Seoul')::date + 1, ${expected},
                numrange(${from}::numeric, ${to}::numeric, '[]'), 0.8)`;
    }
    const page = await open({ width: 1280, height: 800 });
    await signIn(page, await person({ tier: "premium" }));
    await page.getByLabel("Language").selectOption("ko");
    await visit(page, "trends");
    const first = page.getByRole("listitem").filter({ hasText: keywords[0] });
    await first.locator("canvas").first().waitFor();
    await first.locator("summary").click();
    await first.locator("figure").nth(1).locator("canvas").waitFor();
    await page.getByText("실시간", { exact: true }).waitFor();
    await page.evaluate(() => document.activeElement.blur());
    await page.screenshot({ path: `${SCREENSHOTS}/board.png` });
    clean(page);
});
