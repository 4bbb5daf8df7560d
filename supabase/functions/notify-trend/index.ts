// Tells of new trends: the database wakes it through pg_net after each commit that has something to tell.
import { serveDelivery } from "../_shared/serve.ts";

serveDelivery("notify-trend", ["trend.detected", "webhook.test"]);
