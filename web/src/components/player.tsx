import { useEffect, useRef } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { rpc } from "../client.ts";
import type { Video } from "../lib/videos.ts";
import { LISTENING, PLAYER, playerUrl, readPlayer } from "../lib/player.ts";
import { t } from "../messages.ts";
import { settings, user } from "../session.ts";
import { language } from "../settings.ts";
import { Dialog } from "./dialog.tsx";

const ASK_EACH_MS = 250;
const PATIENCE_MS = 8_000;
const MS_BETWEEN_TICKS = 2_000; // a greater step is a seek, not watching

/** Plays a video; tells the service what was watched of it, or that it does not play. */
export function Player(props: { video: Video; onClose: (watched: boolean) => void; onError: () => void }) {
    const { video } = props;
    const frame = useRef<HTMLIFrameElement>(null);
    const error = useSignal<number | null>(null);
    const isSilent = useSignal(false);
    const seen = useRef({ seconds: 0, at: 0, duration: 0, hasBegun: false });

    useEffect(() => {
        const asking = setInterval(() => frame.current?.contentWindow?.postMessage(LISTENING, "*"), ASK_EACH_MS);
        const patience = setTimeout(() => (isSilent.value = true), PATIENCE_MS);
        function hear(event: MessageEvent) {
            if (event.origin !== PLAYER || event.source !== frame.current?.contentWindow) return;
            const told = readPlayer(event.data);
            if (!told) return;
            clearInterval(asking);
            clearTimeout(patience);
            isSilent.value = false;
            const watched = seen.current;
            if (told.duration) watched.duration = told.duration;
            if (told.state === 1) watched.hasBegun = true;
            if (told.currentTime !== undefined) {
                const step = told.currentTime - watched.at;
                if (step > 0 && step * 1000 <= MS_BETWEEN_TICKS) watched.seconds += step;
                watched.at = told.currentTime;
            }
            if (told.error !== undefined && error.value === null) {
                error.value = told.error;
                if (!user.value) return;
                // Said once a day and video; what three people report is taken out.
                rpc("report_playback_error", { video_id: video.video_id, error_code: told.error }).catch(() => {});
                props.onError();
            }
        }
        addEventListener("message", hear);
        return () => {
            removeEventListener("message", hear);
            clearInterval(asking);
            clearTimeout(patience);
        };
    }, [video.video_id]);

    async function close() {
        const { seconds, duration, hasBegun } = seen.current;
        if (!hasBegun || !user.value) return props.onClose(false);
        const length = Math.round(duration || video.duration || 0);
        const watched = Math.max(Math.round(Math.min(seconds, length || seconds)), 0);
        const view = {
            id: crypto.randomUUID(),
            video_id: video.video_id,
            interaction_type: "view",
            watch_duration: watched,
            ...(length > 0 && { total_duration: length, watch_percentage: Math.min(watched / length, 1) }),
        };
        await rpc("record_interaction", { interactions: [view] }).catch(() => {}); // a view that is lost harms nobody
        props.onClose(true);
    }

    const elsewhere = (
        <a class="button" href={`https://www.youtube.com/shorts/${encodeURIComponent(video.video_id)}`} target="_blank" rel="noopener">
            {t("player.youtube")}
        </a>
    );
    return (
        <Dialog title={video.title} onClose={() => void close()} class="player">
            {error.value === null ? (
                <iframe
                    ref={frame}
                    title={video.title}
                    src={playerUrl(video.video_id, {
                        isAutomatic: settings.value.auto_play,
                        language: language.value,
                        origin: location.origin,
                    })}
                    allow="autoplay; encrypted-media; fullscreen; picture-in-picture"
                    referrerpolicy="strict-origin-when-cross-origin" // YouTube refuses to play without one
                />
            ) : (
                <div class="state" role="alert">
                    <p class="state-title">{t("player.error")}</p>
                    <p>{t(user.value ? "player.error.told" : "player.error.next")}</p>
                </div>
            )}
            {isSilent.value && error.value === null && <p class="note">{t("player.silent")}</p>}
            <div class="row">{elsewhere}</div>
        </Dialog>
    );
}
