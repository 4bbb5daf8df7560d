import type { SupabaseClient } from "@supabase/supabase-js";

/** One attempt that is ours until the lease ends: where to post, what to sign, and with what. */
export interface Delivery {
  delivery_id: string;
  webhook_id: string;
  attempt: number;
  url: string;
  /** The newest first; two while a rotation is under way. */
  secrets: string[];
  body: string;
  /** Whether the operator said that this endpoint may be in a private network, and spoken to without TLS. */
  allow_private: boolean;
}

/** What became of an attempt; `status` is null when there was no answer, `error` when it arrived. */
export interface Outcome {
  status: number | null;
  error: string | null;
  retry_after_seconds: number | null;
  duration_ms: number;
}

/** The outcome of the attempt that a delivery was claimed for. */
export interface Report extends Outcome {
  delivery_id: string;
  attempt: number;
}

/** The database's side of the delivery. */
export interface Outbox {
  claim(eventTypes: string[], limit: number, leaseSeconds: number): Promise<Delivery[]>;
  record(reports: Report[]): Promise<void>;
}

/** The outbox behind the Data API; `client` must act as service_role. */
export function databaseOutbox(client: SupabaseClient): Outbox {
  return {
    async claim(event_types, limit, lease_seconds) {
      const { data, error } = await client.rpc("claim_webhook_deliveries", { event_types, limit, lease_seconds });
      if (error) throw new Error(`claim_webhook_deliveries: ${error.code} ${error.message}`);
      return data;
    },
    async record(reports) {
      const { error } = await client.rpc("record_webhook_deliveries", { reports });
      if (error) throw new Error(`record_webhook_deliveries: ${error.code} ${error.message}`);
    },
  };
}
