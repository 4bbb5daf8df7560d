// Subscribes to the trend broadcast for everybody with the official supabase-js client, as a browser would,
// and prints one JSON line per event. Configuration: SUPABASE_URL, SUPABASE_PUBLISHABLE_KEY.
import { createClient } from "@supabase/supabase-js";
import ws from "ws";

const client = createClient(process.env.SUPABASE_URL, process.env.SUPABASE_PUBLISHABLE_KEY, {
  realtime: { transport: ws },
});
const print = (line) => console.log(JSON.stringify(line));

client
  .channel("trends", { config: { private: true } })
  .on("broadcast", { event: "trend" }, ({ payload }) =>
    print({ event: "trend", received_at: Date.now() / 1000, ...payload }))
  .subscribe((status, error) => print({ event: "status", status, error: error?.message }));
process.on("SIGTERM", () => process.exit(0));
