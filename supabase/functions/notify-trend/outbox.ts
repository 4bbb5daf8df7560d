import type { SupabaseClient } from "@supabase/supabase-js";

/** One attempt that is ours until the lease ends: where to post, what to sign, and with what. */
export interface Delivery {
  delivery_id: string;
  webhook_id: string;
  attempt: number;
  url: string;
  secret: string | null;
  body: string;
}

/** What became of an attempt; `status` is null when there was no answer. */
export interface Outcome {
  status: number | null;
  error: string | null;
}

/** The database's side of the delivery. */
export interface Outbox {
  claim(limit: number, leaseSeconds: number): Promise<Delivery[]>;
  record(delivery: Delivery, outcome: Outcome): Promise<void>;
}

/** The outbox behind the Data API; `client` must act as service_role. */
export function databaseOutbox(client: SupabaseClient): Outbox {
  return {
    async claim(limit, leaseSeconds) {
      const { data, error } = await client.rpc("claim_webhook_deliveries", { limit, lease_seconds: leaseSeconds });
      if (error) throw new Error(`claim_webhook_deliveries: ${error.code} ${error.message}`);
      return data;
    },
    async record({ delivery_id, attempt }, { status, error: reason }) {
      const { error } = await client.rpc("record_webhook_delivery", { delivery_id, attempt, status, error: reason });
      if (error) throw new Error(`record_webhook_delivery: ${error.code} ${error.message}`);
    },
  };
}
