// Tells of new trends, and what the operator must know: the database wakes it through pg_net after each commit.
import { serveDelivery } from "../_shared/serve.ts";

serveDelivery("notify-trend", ["trend.detected", "webhook.test", "alert.opened"]);
