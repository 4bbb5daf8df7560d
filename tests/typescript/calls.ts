// What a page may write with the generated types; tests/test_generated_types.py has tsc read it.

import { createClient } from "@supabase/supabase-js";
import type { Database, Tables, TablesInsert } from "../../supabase/database.types.ts";

const client = createClient<Database>("https://x.example", "key");

export async function rising(): Promise<string[]> {
  const { data, error } = await client.rpc("trending_now", { region: "KR", limit: 10 });
  if (error) throw error;
  return data.map((row) => `${row.keyword} ${row.trend_score.toFixed(2)}`);
}

export async function titles(channel: string): Promise<string[]> {
  const { data, error } = await client
    .from("cached_videos")
    .select("video_id, title, view_count")
    .eq("channel_id", channel)
    .order("view_count", { ascending: false });
  if (error) throw error;
  return data.map((row) => `${row.title}: ${row.view_count ?? 0}`);
}

export async function keep(keyword: string): Promise<void> {
  const row: TablesInsert<"trending_keywords"> = { keyword, search_volume: 100 };
  await client.from("trending_keywords").insert(row);
}

export function isOver(keyword: Tables<"trending_keywords">): boolean {
  return keyword.closed_at !== null;
}
