/** The player of YouTube, spoken to by messages: its script from elsewhere would need a hole in the CSP. */
export const PLAYER = "https://www.youtube-nocookie.com";

/** What the player says when it cannot play; report_playback_error takes no others. */
const ERRORS = [2, 5, 100, 101, 150, 153];

export interface PlayerSaid {
    error?: number;
    /** Seconds. */
    currentTime?: number;
    duration?: number;
    /** 0 is the end, 1 plays, 2 is paused. */
    state?: number;
}

export function playerUrl(videoId: string, options: { isAutomatic: boolean; language: string; origin: string }): string {
    const asked = new URLSearchParams({
        enablejsapi: "1",
        playsinline: "1",
        rel: "0",
        autoplay: options.isAutomatic ? "1" : "0",
        hl: options.language,
        origin: options.origin,
    });
    return `${PLAYER}/embed/${encodeURIComponent(videoId)}?${asked}`;
}

/** What to send until it answers: from then on it tells what happens. */
export const LISTENING = JSON.stringify({ event: "listening", id: 1, channel: "widget" });

const numberOf = (value: unknown) => (typeof value === "number" && Number.isFinite(value) ? value : undefined);

/** Reads a message of the player; null for what is none. Who sent it must have been checked. */
export function readPlayer(data: unknown): PlayerSaid | null {
    if (typeof data !== "string") return null;
    let message: { event?: unknown; info?: unknown } | null;
    try {
        message = JSON.parse(data);
    } catch {
        return null;
    }
    if (typeof message !== "object" || message === null) return null;
    const { event, info } = message;
    if (event === "onError") {
        // Sent as a number, as its text, or as an object around it, depending on the player.
        const code = Number(typeof info === "object" && info !== null ? (info as { errorCode?: unknown }).errorCode : info);
        return ERRORS.includes(code) ? { error: code } : {};
    }
    if (event === "onStateChange") return { state: numberOf(info) };
    if ((event === "infoDelivery" || event === "initialDelivery") && typeof info === "object" && info !== null) {
        const told = info as Record<string, unknown>;
        return {
            currentTime: numberOf(told.currentTime),
            duration: numberOf(told.duration),
            state: numberOf(told.playerState),
        };
    }
    return {};
}
