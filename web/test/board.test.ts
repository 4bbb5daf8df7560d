import { expect, test } from "vitest";
import { after, boardOf, lineOf, MOST, type BoardTrend } from "../src/lib/board.ts";
import type { News } from "../src/lib/watch-trends.ts";

const AT = Date.parse("2026-07-10T00:00:00Z");
const news = (part: Partial<News> = {}): News => ({
    cursor: 1,
    change: "inserted",
    id: "a",
    keyword: "김치찌개",
    region_code: "KR",
    trend_score: 0.5,
    growth_rate: 100,
    detected_at: "2026-07-09T23:00:00Z",
    ...part,
});
const scores = (board: BoardTrend[]) => board.map((line) => [line.keyword, line.trend_score]);
const listed = (part: Partial<News> = {}) => ({ ...lineOf(news(part)), id: undefined });

test("the strongest trend of a keyword and region is its line, the strongest line comes first", () => {
    const board = boardOf([news({ trend_score: 0.4 }), news({ keyword: "떡볶이", trend_score: 0.6 }), news()].map(lineOf));
    expect(scores(board)).toEqual([["떡볶이", 0.6], ["김치찌개", 0.5]]);
});

test("a keyword of two regions is two lines", () => {
    expect(boardOf([lineOf(news()), lineOf(news({ region_code: "US" }))])).toHaveLength(2);
});

test("no more lines than the board has", () => {
    const board = boardOf(Array.from({ length: MOST }, (_, place) => lineOf(news({ keyword: `k${place}` }))));
    const next = after(board, news({ keyword: "new", trend_score: 0.9 }), AT);
    expect(next.board).toHaveLength(MOST);
    expect(next.board[0]!.keyword).toBe("new");
});

test("a trend that rises moves up, and one that is new comes in", () => {
    const board = boardOf([listed({ keyword: "떡볶이", trend_score: 0.6 }), listed()]);
    const risen = after(board, news({ trend_score: 0.7 }), AT);
    expect(risen).toMatchObject({ isUnsure: false });
    expect(scores(risen.board)).toEqual([["김치찌개", 0.7], ["떡볶이", 0.6]]);
});

test("a fall is shown at once, and asked about when it may be another source's", () => {
    expect(after([listed()], news({ trend_score: 0.2 }), AT)).toMatchObject({ isUnsure: true, board: [{ trend_score: 0.2 }] });
});

test("another source that sees it weaker changes nothing", () => {
    const board = [lineOf(news())];
    expect(after(board, news({ id: "b", trend_score: 0.2 }), AT)).toEqual({ board, isUnsure: false });
});

test("what is closed or over goes, and the list is asked for what is under it", () => {
    const board = [lineOf(news())];
    for (const over of [{ closed_at: "2026-07-09T23:59:00Z" }, { expires_at: "2026-07-10T00:00:00Z" }]) {
        expect(after(board, news(over), AT)).toEqual({ board: [], isUnsure: true });
        expect(after(board, news({ ...over, id: "b" }), AT)).toEqual({ board, isUnsure: false });
        expect(after([], news(over), AT)).toEqual({ board: [], isUnsure: false });
    }
});
