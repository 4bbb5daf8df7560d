import { computed, effect, signal } from "@preact/signals";
import type { User } from "@supabase/supabase-js";
import { supabase } from "./client.ts";
import { tierNow, type TierRow } from "./lib/tiers.ts";
import { go, link } from "./router.ts";

const LOOK_AGAIN_MS = 10_000; // nobody is told when a tier changes, so an open page asks
const LONGEST_TIMER_MS = 2 ** 31 - 1;

const DEFAULTS = { notifications: true, auto_play: true };

export const user = signal<User | null>(null);
export const isOnline = signal(navigator.onLine);
/** Undefined until it was read, null for no row: free. */
const tierRow = signal<TierRow | null | undefined>();
/** Why it could not be read, while it is not known. */
export const tierProblem = signal<unknown>(null);
/** The part of users.settings that this board goes by. */
export const settings = signal(DEFAULTS);
const now = signal(Date.now());

const standing = computed(() => tierNow(tierRow.value ?? null, now.value));
export const tier = computed(() => standing.value.tier);
export const tierEndsAt = computed(() => tierRow.value?.expires_at ?? null);
export const isPremium = computed(() => standing.value.isPremium);
/** Had premium and has it no more: told as such, not offered as if new. */
export const isExpired = computed(() => standing.value.isExpired);
export const isTierKnown = computed(() => user.value === null || tierRow.value !== undefined);
export const isAdmin = computed(() => user.value?.app_metadata.role === "admin");

async function readTier(of: string): Promise<void> {
    const { data, error } = await supabase.from("user_tiers").select("tier,expires_at").eq("user_id", of).maybeSingle();
    if (user.value?.id !== of) return;
    tierProblem.value = error;
    if (error) return; // what was known stays; the next look may succeed
    now.value = Date.now();
    tierRow.value = data;
}

async function readSettings(of: string): Promise<void> {
    const { data } = await supabase.from("users").select("settings").eq("id", of).maybeSingle();
    if (user.value?.id === of && data) settings.value = { ...settings.value, ...(data.settings as object) };
}

/** Asks for the tier at once, as when something that it allowed was refused. */
export async function lookAgain(): Promise<void> {
    const id = user.peek()?.id;
    if (id) await readTier(id);
}

/** Follows who is signed in, and until when they have their tier. */
export async function followSession(): Promise<void> {
    addEventListener("online", () => (isOnline.value = true));
    addEventListener("offline", () => (isOnline.value = false));
    supabase.auth.onAuthStateChange((event, session) => {
        if (event === "PASSWORD_RECOVERY") go(link("recover")); // came by the link of a mail
        // Told again for each renewed token; who it is changes seldom.
        if (session?.user.id !== user.peek()?.id) {
            tierRow.value = undefined;
            tierProblem.value = null;
            settings.value = DEFAULTS;
        }
        user.value = session?.user ?? null;
    });
    await supabase.auth.getSession();

    const person = computed(() => user.value?.id);
    effect(() => {
        const id = person.value;
        if (!id) return;
        void readTier(id);
        void readSettings(id);
        const timer = setInterval(() => document.hidden || void readTier(id), LOOK_AGAIN_MS);
        return () => clearInterval(timer);
    });
    effect(() => {
        if (!tierEndsAt.value) return;
        const left = Math.max(Date.parse(tierEndsAt.value) - Date.now(), 0);
        const timer = setTimeout(() => (now.value = Date.now()), Math.min(left + 1, LONGEST_TIMER_MS));
        return () => clearTimeout(timer);
    });
}
