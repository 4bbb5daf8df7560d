import { computed, signal } from "@preact/signals";

const hash = signal(location.hash);
addEventListener("hashchange", () => (hash.value = location.hash));

/** `#/search?q=맛집` is the page `search` with the parameter q. */
export const readRoute = (of: string) => {
    const [page = "", query = ""] = of.replace(/^#\/?/, "").split("?", 2);
    return { page: page || "trends", params: new URLSearchParams(query) };
};

export const route = computed(() => readRoute(hash.value));

export function link(page: string, params: Record<string, string | undefined> = {}): string {
    const given = Object.entries(params).filter((entry): entry is [string, string] => Boolean(entry[1]));
    return `#/${page}${given.length ? `?${new URLSearchParams(given)}` : ""}`;
}

export const go = (to: string) => (location.hash = to);

/** Changes the address without a step in the history, as a filter or what is typed does. */
export function replace(to: string): void {
    history.replaceState(null, "", to);
    hash.value = location.hash;
}
