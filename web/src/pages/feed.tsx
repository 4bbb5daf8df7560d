import { useEffect } from "preact/hooks";
import { useSignal } from "@preact/signals";
import "./videos.css";
import { rpc, supabase } from "../client.ts";
import { Dialog } from "../components/dialog.tsx";
import { Player } from "../components/player.tsx";
import { Failed, Loading, SignedOut, State } from "../components/state.tsx";
import { VideoCard } from "../components/video-card.tsx";
import { CATEGORIES } from "../lib/categories.ts";
import type { FeedPage, Picked, Reason } from "../lib/videos.ts";
import { t, type Key } from "../messages.ts";
import { link } from "../router.ts";
import { user } from "../session.ts";
import { language } from "../settings.ts";

const PAGE = 20;
const REASONS = ["irrelevant", "seen_too_many", "offensive", "quality", "other"] as const;
const WHYS = ["liked_similar", "keyword", "trending", "category", "mood", "popular", "fresh", "exploration"];

const placeOf = (videoId: string) => `pick-${videoId}`;

/** The button that had the focus may be gone: the keyboard goes on where it was. */
const keepFocus = (videoId: string) =>
    setTimeout(() => document.activeElement === document.body && document.getElementById(placeOf(videoId))?.focus());

export function Feed() {
    if (!user.value) return <Head><SignedOut why={t("feed.signed_out")} /></Head>;
    return <Picks key={user.value.id} />;
}

const Head = ({ children }: { children: preact.ComponentChildren }) => (
    <>
        <h1>{t("page.feed")}</h1>
        {children}
    </>
);

function Picks() {
    const page = useSignal<FeedPage | undefined>(undefined);
    const problem = useSignal<unknown>(null);
    const isReading = useSignal(false);
    const liked = useSignal<ReadonlySet<string>>(new Set());
    const gone = useSignal<ReadonlyMap<string, "not_interested" | "report" | "error">>(new Map());
    const isChanged = useSignal(false);
    const said = useSignal("");
    const playing = useSignal<Picked | null>(null);
    const reporting = useSignal<Picked | null>(null);

    async function read(cursor?: string) {
        isReading.value = true;
        problem.value = null;
        try {
            const next = await rpc<FeedPage>("personalized_feed", { limit: PAGE, ...(cursor && { cursor }) });
            page.value = cursor ? { ...next, videos: [...(page.value?.videos ?? []), ...next.videos] } : next;
            if (!cursor) {
                gone.value = new Map();
                isChanged.value = false;
            }
        } catch (error) {
            problem.value = error;
        } finally {
            isReading.value = false;
        }
    }
    useEffect(() => void read(), []);

    /** Does what was asked; what fails is said where a screen reader hears it and everybody sees it. */
    async function attempt(work: () => Promise<unknown>): Promise<boolean> {
        said.value = "";
        try {
            await work();
            return true;
        } catch (error) {
            const { hint, message } = error as { hint?: string; message: string };
            said.value = `${t("failed")} ${hint ?? message}`;
            return false;
        }
    }

    async function like({ video_id }: Picked) {
        if (liked.value.has(video_id)) return;
        const done = await attempt(() =>
            rpc("record_interaction", { interactions: [{ id: crypto.randomUUID(), video_id, interaction_type: "like" }] }),
        );
        if (!done) return;
        liked.value = new Set([...liked.value, video_id]);
        isChanged.value = true;
    }

    async function refuse({ video_id }: Picked, place: number) {
        const done = await attempt(() => rpc("submit_feedback", { video_id, feedback_type: "not_interested", position_in_list: place }));
        if (!done) return;
        leave(video_id, "not_interested");
    }

    function leave(video_id: string, why: "not_interested" | "report") {
        gone.value = new Map([...gone.value, [video_id, why]]);
        isChanged.value = true;
        keepFocus(video_id);
    }

    async function takeBack({ video_id }: Picked) {
        const done = await attempt(async () => {
            const { error } = await supabase
                .from("user_feedback")
                .delete()
                .eq("video_id", video_id)
                .eq("feedback_type", gone.value.get(video_id) ?? "not_interested");
            if (error) throw error;
        });
        if (!done) return;
        const left = new Map(gone.value);
        left.delete(video_id);
        gone.value = left;
        keepFocus(video_id);
    }

    const shown = page.value;
    return (
        <Head>
            <div class="page-head">
                <p class="soft">{t("feed.what")}</p>
                <button onClick={() => void read()} disabled={isReading.value} class={isChanged.value ? "primary" : ""}>
                    {t(isChanged.value ? "feed.changed" : "feed.again")}
                </button>
            </div>
            <p role="status" class={said.value ? "note warn" : "unseen"}>
                {said.value}
            </p>
            {!shown && problem.value === null && <Loading />}
            {shown?.videos.length === 0 && (
                <State title={t("feed.empty")}>
                    <a class="button primary" href={link("onboarding")}>
                        {t("feed.empty.next")}
                    </a>
                </State>
            )}
            <ul class="videos" role="list" aria-label={t("page.feed")}>
                {shown?.videos.map((video, place) => {
                    const why = gone.value.get(video.video_id);
                    return (
                        <li key={video.video_id} id={placeOf(video.video_id)} tabIndex={-1}>
                            {why ? (
                                <div class="gone" role="status">
                                    {t(`feed.gone.${why}`)}
                                    {why !== "error" && <button onClick={() => void takeBack(video)}>{t("undo")}</button>}
                                </div>
                            ) : (
                                <VideoCard
                                    video={video}
                                    onWatch={() => (playing.value = video)}
                                    actions={
                                        <>
                                            <button
                                                aria-pressed={liked.value.has(video.video_id)}
                                                onClick={() => void like(video)}
                                            >
                                                {t(liked.value.has(video.video_id) ? "feed.liked" : "feed.like")}
                                            </button>
                                            <button onClick={() => void refuse(video, place)}>{t("feed.refuse")}</button>
                                            <button onClick={() => (reporting.value = video)}>{t("feed.report")}</button>
                                        </>
                                    }
                                >
                                    <ul class="why" aria-label={t("feed.why")}>
                                        {video.why.map((reason) => (
                                            <li key={reason.reason + reason.detail}>{whyText(reason)}</li>
                                        ))}
                                    </ul>
                                </VideoCard>
                            )}
                        </li>
                    );
                })}
            </ul>
            {problem.value !== null && <Failed error={problem.value} retry={() => void read()} />}
            {shown?.next_cursor && problem.value === null && (
                <button class="more" disabled={isReading.value} onClick={() => void read(shown.next_cursor!)}>
                    {t(isReading.value ? "loading" : "more")}
                </button>
            )}
            {playing.value && (
                <Player
                    video={playing.value}
                    onClose={(watched) => {
                        playing.value = null;
                        isChanged.value ||= watched;
                    }}
                    onError={() => {
                        gone.value = new Map([...gone.value, [playing.value!.video_id, "error"]]);
                    }}
                />
            )}
            {reporting.value && (
                <Report
                    video={reporting.value}
                    send={async (reason, comment) => {
                        const { video_id } = reporting.value!;
                        reporting.value = null;
                        const done = await attempt(() =>
                            rpc("submit_feedback", { video_id, feedback_type: "report", reason, ...(comment && { comment }) }),
                        );
                        if (!done) return;
                        leave(video_id, "report");
                    }}
                    onClose={() => (reporting.value = null)}
                />
            )}
        </Head>
    );
}

/** Why it is here, in our own words; a reason that is new to this page is left to its detail. */
function whyText({ reason, detail, category_id: id }: Reason): string {
    const category = CATEGORIES.find((known) => known.id === id || known.en === detail)?.[language.value];
    const what = category ?? detail ?? "";
    return WHYS.includes(reason) ? t(`why.${reason}` as Key, { what }) : what || reason;
}

function Report(props: { video: Picked; send: (reason: string, comment: string) => void; onClose: () => void }) {
    return (
        <Dialog title={t("report.title")} onClose={props.onClose}>
            <form
                class="form"
                onSubmit={(event) => {
                    event.preventDefault();
                    const given = new FormData(event.currentTarget);
                    props.send(String(given.get("reason")), String(given.get("comment")).trim());
                }}
            >
                <p>{props.video.title}</p>
                <label>
                    {t("report.reason")}
                    <select name="reason">
                        {REASONS.map((reason) => (
                            <option key={reason} value={reason}>
                                {t(`report.${reason}`)}
                            </option>
                        ))}
                    </select>
                </label>
                <label>
                    {t("report.comment")}
                    <textarea name="comment" maxLength={2000} rows={3} />
                </label>
                <button class="primary">{t("report.send")}</button>
            </form>
        </Dialog>
    );
}
