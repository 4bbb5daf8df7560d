import type { Database } from "../../../supabase/database.types.ts";

export type Tier = Database["public"]["Enums"]["tier_enum"];

export interface TierRow {
    tier: Tier;
    expires_at: string | null;
}

const PREMIUM: readonly Tier[] = ["premium", "pro", "enterprise"];

/** What a row of user_tiers means at a moment, as private.has_tier has it. */
export function tierNow(row: TierRow | null, at: number) {
    const isOver = row?.expires_at != null && Date.parse(row.expires_at) <= at;
    const had = row !== null && PREMIUM.includes(row.tier);
    return { tier: row === null || isOver ? ("free" as const) : row.tier, isPremium: had && !isOver, isExpired: had && isOver };
}
