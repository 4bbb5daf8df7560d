import type { Tables } from "../client.ts";
import type { News } from "./watch-trends.ts";

export type WholeTrend = Tables["trending_keywords"]["Row"];

/** A line of the board: one keyword in one region, by its strongest trend. */
export interface BoardTrend {
    key: string;
    keyword: string;
    region_code: string;
    trend_score: number;
    growth_rate: number;
    detected_at: string;
    /** Known of whole rows and of what was heard; the limited list does not tell it. */
    id?: string;
    /** For premium only. */
    whole?: WholeTrend;
}

export const MOST = 50;

const byStrength = (one: BoardTrend, other: BoardTrend) =>
    other.trend_score - one.trend_score || (one.keyword < other.keyword ? -1 : 1);

export const lineOf = (
    trend: Pick<BoardTrend, "keyword" | "region_code" | "trend_score" | "growth_rate" | "detected_at"> & { id?: string },
): BoardTrend => ({
    key: `${trend.region_code} ${trend.keyword}`,
    keyword: trend.keyword,
    region_code: trend.region_code,
    trend_score: trend.trend_score,
    growth_rate: trend.growth_rate,
    detected_at: trend.detected_at,
    id: trend.id,
    whole: "hourly_trend_data" in trend ? (trend as WholeTrend) : undefined,
});

/** The strongest line of each keyword and region, strongest first. */
export function boardOf(lines: BoardTrend[]): BoardTrend[] {
    const strongest = new Map<string, BoardTrend>();
    for (const line of lines) {
        const known = strongest.get(line.key);
        if (!known || line.trend_score > known.trend_score) strongest.set(line.key, line);
    }
    return [...strongest.values()].sort(byStrength).slice(0, MOST);
}

/**
 * The board after a piece of news. `isUnsure`: the line may now be another source's trend of the same keyword, which
 * the news do not tell; then the list must be read again.
 */
export function after(board: BoardTrend[], news: News, at = Date.now()): { board: BoardTrend[]; isUnsure: boolean } {
    const line = lineOf(news);
    const known = board.find(({ key }) => key === line.key);
    const isOver = Boolean(news.closed_at) || (news.expires_at != null && Date.parse(news.expires_at) <= at);
    const isSame = known?.id === news.id;
    if (isOver) {
        if (!known || (known.id && !isSame)) return { board, isUnsure: false };
        return { board: board.filter((other) => other !== known), isUnsure: true };
    }
    if (!known) return { board: boardOf([...board, line]), isUnsure: false };
    if (line.trend_score < known.trend_score) {
        if (known.id && !isSame) return { board, isUnsure: false }; // another source saw it weaker
        return { board: boardOf([...board.filter((other) => other !== known), line]), isUnsure: true };
    }
    return { board: boardOf([...board.filter((other) => other !== known), line]), isUnsure: false };
}
