import type { RealtimeChannel, SupabaseClient } from "@supabase/supabase-js";
import type { Tables } from "../client.ts";

/** What everybody may know of a trend that is new or has changed. */
export interface LimitedNews {
    cursor: number;
    change: "inserted" | "updated";
    id: string;
    keyword: string;
    region_code: string;
    trend_score: number;
    growth_rate: number;
    detected_at: string;
}
/** The whole row comes to premium and up. */
export type News = LimitedNews & Partial<Tables["trending_keywords"]["Row"]>;

interface TrendsSince {
    trends: News[];
    cursor: number;
    newest: number;
    is_complete: boolean;
    missed: boolean;
}

interface Options {
    cursor?: number | null;
    topic?: string;
    onMissed?: (cursor: number | null) => void;
    onError?: (error: unknown) => void;
    /** Whether messages arrive right now. */
    onLive?: (isLive: boolean) => void;
    quietMs?: number;
    retryMs?: number;
}

/** The recipe of docs/realtime.md with types: each trend once and in order, whatever the connection does. */
export function watchTrends(
    supabase: SupabaseClient<any>,
    onTrend: (trend: News) => void | Promise<void>,
    options: Options = {},
): () => Promise<unknown> {
    const { topic = "trends", onMissed, onError = console.warn, onLive, quietMs = 30_000, retryMs = 1_000 } = options;
    let { cursor = null } = options;
    let work = Promise.resolve(); // one thing at a time
    let pause = retryMs;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let channel: RealtimeChannel;
    let ended = false;

    async function use(trend: News) {
        if (ended) return;
        await onTrend(trend);
        cursor = trend.cursor;
    }

    async function refetch() {
        for (let complete = false; !complete && !ended; ) {
            const { data, error } = await supabase.rpc("trends_since", { cursor });
            if (error) throw error;
            const answer = data as TrendsSince;
            if (answer.missed) onMissed?.(cursor);
            for (const trend of answer.trends) await use(trend);
            cursor = answer.cursor;
            complete = answer.is_complete;
        }
    }

    async function hear(trend: News) {
        if (cursor === null || trend.cursor > cursor + 1) await refetch();
        if (trend.cursor === (cursor ?? 0) + 1) await use(trend);
    }

    function later(task: () => Promise<void>) {
        if (ended) return;
        clearTimeout(timer);
        timer = setTimeout(later, quietMs, refetch);
        work = work.then(task).then(
            () => {
                pause = retryMs;
            },
            (error: unknown) => {
                if (ended) return;
                onError(error);
                clearTimeout(timer);
                timer = setTimeout(later, pause, refetch);
                pause = Math.min(pause * 2, quietMs);
            },
        );
    }

    function subscribe() {
        if (ended) return;
        channel = supabase
            .channel(topic, { config: { private: true } })
            .on("broadcast", { event: "trend" }, ({ payload }) => later(() => hear(payload as News)))
            .subscribe((status) => {
                if (ended) return;
                onLive?.(status === "SUBSCRIBED");
                if (status === "SUBSCRIBED") later(refetch); // the first time, and each time after a loss
                if (status === "CLOSED") setTimeout(subscribe, retryMs); // supabase-js makes all but these again
            });
    }

    subscribe();
    return () => {
        ended = true;
        clearTimeout(timer);
        return supabase.removeChannel(channel);
    };
}
