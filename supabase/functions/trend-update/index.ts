// Tells of trends that changed: the database wakes it through pg_net after each commit that has something to tell.
import { serveDelivery } from "../_shared/serve.ts";

serveDelivery("trend-update", ["trend.updated"]);
