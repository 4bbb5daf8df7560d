// Watches trends with the recipe of docs/realtime.md, as a browser would, and prints one JSON line per trend.
// Configuration: SUPABASE_URL, SUPABASE_PUBLISHABLE_KEY, WITHOUT_REFETCH.
import { readFile } from "node:fs/promises";

import { createClient } from "@supabase/supabase-js";
import ws from "ws";

const page = await readFile(new URL("../../docs/realtime.md", import.meta.url), "utf8");
const [, recipe] = page.match(/^```js\n(.*?)^```/ms);
const { watchTrends } = await import(`data:text/javascript,${encodeURIComponent(recipe)}`);

const { SUPABASE_URL, SUPABASE_PUBLISHABLE_KEY, WITHOUT_REFETCH } = process.env;
const supabase = createClient(SUPABASE_URL, SUPABASE_PUBLISHABLE_KEY, {
    realtime: { transport: ws, reconnectAfterMs: () => 50 },
});
const print = (line) => console.log(JSON.stringify(line));

if (WITHOUT_REFETCH) {
    const rpc = supabase.rpc.bind(supabase);
    let first = true;
    supabase.rpc = async (name, { cursor }) => {
        if (!first) return { data: { trends: [], cursor, newest: cursor, is_complete: true, missed: false } };
        const answer = await rpc(name, { cursor });
        first = Boolean(answer.error);
        return answer;
    };
}
const begun = await supabase.rpc("trends_since", { cursor: null });
if (begun.error) throw begun.error;
print({ begun: begun.data.cursor });
watchTrends(supabase, ({ cursor, keyword }) => print({ cursor, keyword }), {
    cursor: begun.data.cursor,
    onMissed: (after) => print({ missed: after }),
    onError: () => {},
    quietMs: 2_000,
    retryMs: 50,
});
process.on("SIGTERM", () => process.exit(0));
