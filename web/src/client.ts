import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import type { Database } from "../../supabase/database.types.ts";

export type Functions = Database["public"]["Functions"];
export type Tables = Database["public"]["Tables"];

/** What an answer that is no answer says: a code to match on, a hint to show. */
export interface Refusal {
    code?: string;
    message: string;
    hint?: string | null;
}

export let supabase: SupabaseClient<Database>;

/** Reads where the project is from /config.json, so that one static build serves any project. */
export async function connect(): Promise<void> {
    const answer = await fetch(new URL("config.json", document.baseURI), { cache: "no-store" });
    if (!answer.ok) throw new Error(`config.json: ${answer.status}`);
    const { url, publishableKey } = (await answer.json()) as { url: string; publishableKey: string };
    // PKCE answers in the query; the implicit flow would answer in the fragment, which is the router's.
    supabase = createClient<Database>(url, publishableKey, { auth: { flowType: "pkce" } });
}

/** Calls a function; throws what it refuses with. The caller names the document that a jsonb function answers. */
export async function rpc<Answer, Name extends keyof Functions & string = keyof Functions & string>(
    name: Name,
    args?: Record<string, unknown>,
): Promise<Answer> {
    const { data, error } = await supabase.rpc(name, args as never);
    if (error) throw error;
    return data as Answer;
}

export const isRefusal = (error: unknown): error is Refusal =>
    typeof error === "object" && error !== null && "message" in error;
