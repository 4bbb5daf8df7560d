import { expect, test } from "vitest";
import { watchTrends, type News } from "../src/lib/watch-trends.ts";

/** A service that remembers its news, and a channel on which the test speaks. */
function service(news: News[]) {
    let hear = (_: { payload: unknown }) => {};
    let status = (_: string) => {};
    const channel = {
        on: (_: string, __: unknown, callback: typeof hear) => ((hear = callback), channel),
        subscribe: (callback: typeof status) => ((status = callback), channel),
    };
    const client = {
        topics: [] as string[],
        asked: [] as (number | null)[],
        channel: (topic: string) => (client.topics.push(topic), channel),
        removeChannel: async () => "ok",
        rpc: async (_: string, { cursor }: { cursor: number | null }) => {
            client.asked.push(cursor);
            const newest = news.at(-1)?.cursor ?? 0;
            const trends = news.filter((item) => cursor !== null && item.cursor > cursor).slice(0, 2);
            const reached = cursor === null ? newest : (trends.at(-1)?.cursor ?? cursor);
            return { data: { trends, cursor: reached, newest, is_complete: reached === newest, missed: false }, error: null };
        },
    };
    return { client, say: (payload: News) => hear({ payload }), join: () => status("SUBSCRIBED") };
}

const item = (cursor: number) => ({ cursor, keyword: `k${cursor}` }) as News;
const settled = () => new Promise((resolve) => setTimeout(resolve, 5));

test("a gap is fetched, a repeat is dropped, the order is that of the cursors", async () => {
    const news = [1, 2, 3, 4, 5, 6].map(item);
    const { client, say, join } = service(news);
    const seen: number[] = [];
    const end = watchTrends(client as never, ({ cursor }) => void seen.push(cursor), { cursor: 2, topic: "trends:premium" });
    news.length = 2;
    join();
    await settled();
    news.push(item(3));
    say(item(3));
    await settled();
    expect(client.asked).toEqual([2]); // what follows at once needs no question
    news.push(item(4), item(5), item(6));
    say(item(6));
    say(item(4));
    await settled();
    expect(seen).toEqual([3, 4, 5, 6]);
    expect(client.topics).toEqual(["trends:premium"]);
    await end();
    say(item(7));
    await settled();
    expect(seen).toEqual([3, 4, 5, 6]);
});

test("without a cursor it begins now, and a trend at which the page failed comes again", async () => {
    const news = [item(1)];
    const { client, say, join } = service(news);
    const seen: number[] = [];
    let failures = 1;
    const end = watchTrends(
        client as never,
        ({ cursor }) => {
            if (failures-- > 0) throw new Error("not now");
            seen.push(cursor);
        },
        { retryMs: 1, onError: () => {} },
    );
    join();
    await settled();
    news.push(item(2));
    say(item(2));
    await settled();
    await settled();
    expect(seen).toEqual([2]);
    await end();
});
