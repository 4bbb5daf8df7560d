import { useEffect } from "preact/hooks";
import { useSignal } from "@preact/signals";
import "./videos.css";
import { rpc } from "../client.ts";
import { KeywordBox } from "../components/keyword-box.tsx";
import { Player } from "../components/player.tsx";
import { Failed, Loading, State } from "../components/state.tsx";
import { VideoCard } from "../components/video-card.tsx";
import { CATEGORIES } from "../lib/categories.ts";
import * as format from "../lib/format.ts";
import type { SearchPage, Video } from "../lib/videos.ts";
import { t } from "../messages.ts";
import { link, replace, route } from "../router.ts";
import { user } from "../session.ts";
import { language } from "../settings.ts";

/** The session of a search of who is signed in: it is what keywords burst by. Losing one harms nobody. */
async function noteSearch(query: string, page: SearchPage): Promise<string | null> {
    try {
        const { id } = await rpc<{ id: string }>("start_search", { query });
        await rpc("end_search", { session: id, results_count: page.total, results_shown: page.videos.length });
        return id;
    } catch {
        return null;
    }
}

export function Search() {
    const { params } = route.value;
    const query = params.get("q") ?? "";
    const category = params.get("category") ?? "";
    const longest = params.get("longest") ?? "";
    const typed = useSignal(query);
    const page = useSignal<SearchPage | undefined>(undefined);
    const problem = useSignal<unknown>(null);
    const isReading = useSignal(false);
    const again = useSignal(0);
    const playing = useSignal<Video | null>(null);
    const session = useSignal<string | null>(null);

    const ask = (cursor?: string) =>
        rpc<SearchPage>("search_videos", {
            query,
            ...(category && { category_id: Number(category) }),
            ...(longest && { max_duration: Number(longest) }),
            ...(cursor && { cursor, facets: false }),
        });

    useEffect(() => {
        typed.value = query;
    }, [query]);

    useEffect(() => {
        let ended = false;
        page.value = undefined;
        problem.value = null;
        session.value = null;
        if (!query.trim()) return;
        ask().then(
            async (found) => {
                if (ended) return;
                page.value = found;
                if (user.value && !category && !longest) session.value = await noteSearch(query, found);
            },
            (error) => {
                if (!ended) problem.value = error;
            },
        );
        return () => {
            ended = true;
        };
    }, [query, category, longest, user.value?.id, again.value]);

    async function more() {
        const before = page.value;
        if (!before?.next_cursor) return;
        isReading.value = true;
        try {
            const next = await ask(before.next_cursor);
            if (page.value === before) page.value = { ...before, videos: [...before.videos, ...next.videos], next_cursor: next.next_cursor };
        } catch (error) {
            if (page.value === before) problem.value = error;
        } finally {
            isReading.value = false;
        }
    }

    function watch(video: Video) {
        playing.value = video;
        if (session.value) rpc("end_search", { session: session.value, outcome: "satisfied", results_clicked: 1 }).catch(() => {});
    }

    const found = page.value;
    const filter = (key: string, value: string) => replace(link("search", { q: query, category, longest, [key]: value }));
    return (
        <>
            <h1>{t("page.search")}</h1>
            <form
                class="search-form"
                role="search"
                onSubmit={(event) => {
                    event.preventDefault();
                    replace(link("search", { q: typed.value.trim() }));
                }}
            >
                <KeywordBox
                    label={t("page.search")}
                    isTitled
                    placeholder={t("search.placeholder")}
                    value={typed.value}
                    onInput={(value) => (typed.value = value)}
                    onChoose={(keyword) => {
                        typed.value = keyword;
                        replace(link("search", { q: keyword.trim() }));
                    }}
                />
                <button class="primary">{t("page.search")}</button>
            </form>
            {!query.trim() && (
                <State title={t("search.begin")}>
                    <p>{t("search.begin.next")}</p>
                </State>
            )}
            {query.trim() && !found && problem.value === null && <Loading />}
            {problem.value !== null && <Failed error={problem.value} retry={() => again.value++} />}
            {found && (
                <>
                    <p aria-live="polite">
                        {t(found.total_is_exact ? "search.found" : "search.found.more", { total: format.number(found.total) })}
                        {(found.how === "synonym" || found.how === "corrected") && found.answered && (
                            <> {t("search.meant", { answered: found.answered })}</>
                        )}
                    </p>
                    {found.facets && (found.total > 0 || category || longest) && (
                        <div class="facets">
                            <label>
                                {t("search.category")}
                                <select value={category} onChange={(e) => filter("category", e.currentTarget.value)}>
                                    <option value="">{t("search.any")}</option>
                                    {categoriesOf(found, category).map(({ id, name, videos }) => (
                                        <option key={id} value={id}>
                                            {videos === null ? name : `${name} (${format.number(videos)})`}
                                        </option>
                                    ))}
                                </select>
                            </label>
                            <label>
                                {t("search.length")}
                                <select value={longest} onChange={(e) => filter("longest", e.currentTarget.value)}>
                                    <option value="">{t("search.any")}</option>
                                    {found.facets.durations.map(({ max_duration: seconds, videos }) => (
                                        <option key={seconds} value={seconds}>
                                            {t("search.up_to", { length: format.clock(seconds) })} ({format.number(videos)})
                                        </option>
                                    ))}
                                </select>
                            </label>
                            {(category || longest) && (
                                <a class="button" href={link("search", { q: query })}>
                                    {t("search.all")}
                                </a>
                            )}
                        </div>
                    )}
                    {found.videos.length === 0 && (
                        <State title={t("search.empty")}>
                            <p>{t(user.value ? "search.empty.next" : "search.empty.visitor")}</p>
                        </State>
                    )}
                    <ul class="videos" role="list" aria-label={t("search.results")}>
                        {found.videos.map((video) => (
                            <li key={video.video_id}>
                                <VideoCard video={video} highlights={video.highlights} onWatch={() => watch(video)} />
                            </li>
                        ))}
                    </ul>
                    {found.next_cursor && (
                        <button class="more" disabled={isReading.value} onClick={() => void more()}>
                            {t(isReading.value ? "loading" : "more")}
                        </button>
                    )}
                </>
            )}
            {playing.value && (
                <Player video={playing.value} onClose={() => (playing.value = null)} onError={() => {}} />
            )}
        </>
    );
}

/** The service names categories in Korean; one that is chosen stays in the list when nothing is left of it. */
function categoriesOf(page: SearchPage, chosen: string) {
    const named = (id: number) => CATEGORIES.find((category) => category.id === id)?.[language.value];
    const listed = (page.facets?.categories ?? []).map(({ category_id: id, name, videos }) => ({
        id,
        name: named(id) ?? name,
        videos: videos as number | null,
    }));
    if (chosen && !listed.some(({ id }) => String(id) === chosen))
        listed.push({ id: Number(chosen), name: named(Number(chosen)) ?? chosen, videos: null });
    return listed;
}

