import type { ComponentChildren } from "preact";
import { useSignal } from "@preact/signals";
import * as format from "../lib/format.ts";
import { thumbnail, type Video } from "../lib/videos.ts";
import { t } from "../messages.ts";
import { Marked } from "./marked.tsx";

export function VideoCard(props: {
    video: Video;
    highlights?: [number, number][];
    onWatch: () => void;
    children?: ComponentChildren;
    actions?: ComponentChildren;
}) {
    const { video } = props;
    const isBroken = useSignal(false);
    const picture = isBroken.value ? null : thumbnail(video);
    return (
        <article class="video">
            <div class="picture">
                {picture ? (
                    <img src={picture} alt="" loading="lazy" onError={() => (isBroken.value = true)} />
                ) : (
                    <span aria-hidden="true">{[...video.title][0]}</span>
                )}
                {video.duration !== null && <span class="clock">{format.clock(video.duration)}</span>}
            </div>
            <div class="video-text">
                <h2 class="video-title">
                    <Marked text={video.title} highlights={props.highlights ?? []} />
                </h2>
                <p class="soft small">
                    {[
                        video.channel_name,
                        video.view_count !== null && t("video.views", { views: format.compact(video.view_count) }),
                        video.published_at && format.ago(video.published_at),
                    ]
                        .filter(Boolean)
                        .join(" · ")}
                </p>
                {props.children}
            </div>
            <div class="row actions">
                <button class="primary" onClick={props.onWatch}>
                    {t("video.watch")}
                </button>
                {props.actions}
            </div>
        </article>
    );
}
