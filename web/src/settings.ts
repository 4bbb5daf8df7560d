import { computed, effect, signal } from "@preact/signals";

/** What this browser remembers: language and theme. */
export type Language = "ko" | "en";
export type Theme = "auto" | "light" | "dark";

function kept<Value extends string>(key: string, values: readonly Value[], otherwise: Value) {
    const read = () => {
        try {
            const stored = localStorage.getItem(key) as Value;
            return values.includes(stored) ? stored : otherwise;
        } catch {
            return otherwise; // storage may be forbidden
        }
    };
    const value = signal<Value>(read());
    effect(() => {
        try {
            if (value.value !== read()) localStorage.setItem(key, value.value);
        } catch {
            // it is forgotten with the page
        }
    });
    return value;
}

export const language = kept<Language>("ondol.language", ["ko", "en"], navigator.language.startsWith("ko") ? "ko" : "en");
export const theme = kept<Theme>("ondol.theme", ["auto", "light", "dark"], "auto");

effect(() => {
    document.documentElement.lang = language.value;
});
effect(() => {
    document.documentElement.dataset.theme = theme.value;
});

const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const deviceIsDark = signal(prefersDark.matches);
prefersDark.addEventListener("change", ({ matches }) => (deviceIsDark.value = matches));
export const isDark = computed(() => (theme.value === "auto" ? deviceIsDark.value : theme.value === "dark"));
