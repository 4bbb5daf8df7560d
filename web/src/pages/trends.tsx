import { useEffect, useMemo } from "preact/hooks";
import { useSignal } from "@preact/signals";
import "./trends.css";
import { rpc, supabase, type Tables } from "../client.ts";
import { Chart, hours, outlook, sparkline } from "../components/chart.tsx";
import { Failed, Loading, State, TierUnknown } from "../components/state.tsx";
import { after, boardOf, lineOf, MOST, type BoardTrend, type WholeTrend } from "../lib/board.ts";
import * as format from "../lib/format.ts";
import { watchTrends, type News } from "../lib/watch-trends.ts";
import { t } from "../messages.ts";
import { link, replace, route } from "../router.ts";
import { isExpired, isOnline, isPremium, isTierKnown, lookAgain, user } from "../session.ts";

const REGIONS = ["KR", "US", "JP"] as const;
const EVERYWHERE = "all";
const READ_AGAIN_MS = 30_000; // what is closed or has expired goes without news
const SURE_AFTER_MS = 300;
const SAY_EACH_MS = 3_000;
const HOUR = 3_600;
const DAY_MS = 86_400_000;

type Prediction = Pick<
    Tables["trend_predictions"]["Row"],
    "keyword" | "region_code" | "predicted_for_date" | "predicted_score" | "confidence_interval" | "confidence_level"
>;
type Predictions = Map<string, Prediction>;

async function limitedList(region: string): Promise<BoardTrend[]> {
    const regions = region === EVERYWHERE ? REGIONS : [region];
    const lists = await Promise.all(
        regions.map((of) => rpc<BoardTrend[], "trending_now">("trending_now", { region: of, limit: MOST })),
    );
    return boardOf(lists.flat().map(lineOf));
}

async function wholeList(region: string): Promise<BoardTrend[]> {
    let query = supabase
        .from("trending_keywords")
        .select()
        .is("closed_at", null)
        .gt("expires_at", new Date().toISOString())
        .order("trend_score", { ascending: false })
        .limit(MOST);
    if (region !== EVERYWHERE) query = query.eq("region_code", region);
    const { data, error } = await query;
    if (error) throw error;
    return boardOf(data.map((row) => lineOf(row)));
}

/** What was last foretold of these keywords, for tomorrow where that was done already. */
async function predictionsOf(board: BoardTrend[]): Promise<Predictions> {
    const today = new Date(Date.now() + 9 * HOUR * 1000).toISOString().slice(0, 10); // days are Korea's
    const { data, error } = await supabase
        .from("trend_predictions")
        .select("keyword,region_code,predicted_for_date,predicted_score,confidence_interval,confidence_level")
        .in("keyword", [...new Set(board.map(({ keyword }) => keyword))])
        .gte("predicted_for_date", today)
        .order("predicted_for_date")
        .order("prediction_date");
    if (error) throw error;
    return new Map(data.map((row) => [`${row.region_code} ${row.keyword}`, row])); // the last one wins
}

let leaving: Promise<unknown> = Promise.resolve(); // a topic is left before it is joined again

export function Trends() {
    const region = route.value.params.get("region") ?? "KR";
    const full = isPremium.value;
    const person = user.value?.id;
    const board = useSignal<BoardTrend[] | undefined>(undefined);
    const foretold = useSignal<Predictions>(new Map());
    const moved = useSignal<ReadonlySet<string>>(new Set());
    const problem = useSignal<unknown>(null);
    const isLive = useSignal(false);
    const said = useSignal("");
    const again = useSignal(0);
    const listener = useMemo(() => ({ hear: (_: News) => {}, readAgain: () => {} }), []);

    // The list of this region, and what the news make of it.
    useEffect(() => {
        if (!isTierKnown.value) return;
        let ended = false;
        let sure: ReturnType<typeof setTimeout> | undefined;
        let mentioned: string[] = [];
        let heardSince = 0;
        board.value = undefined; // rows of another tier or region are not shown a moment longer
        foretold.value = new Map();
        problem.value = null;

        async function read() {
            const heardBefore = heardSince;
            try {
                const list = await (full ? wholeList(region) : limitedList(region));
                if (full && !list.length) await lookAgain(); // no trends, or none for a tier that has ended
                if (ended || (full && !isPremium.peek())) return;
                if (heardSince !== heardBefore && board.value) return later(); // may be older than what was heard
                board.value = list;
                problem.value = null;
                if (full && list.length) {
                    const predictions = await predictionsOf(list);
                    if (!ended) foretold.value = predictions;
                }
            } catch (error) {
                if (!ended) problem.value = error;
            }
        }
        function later() {
            clearTimeout(sure);
            sure = setTimeout(read, SURE_AFTER_MS);
        }
        listener.readAgain = () => void read();
        listener.hear = (news) => {
            if (region !== EVERYWHERE && news.region_code !== region) return;
            heardSince++;
            const next = after(board.value ?? [], news);
            board.value = next.board;
            moved.value = new Set([...moved.value, `${news.region_code} ${news.keyword}`]);
            if (!mentioned.includes(news.keyword)) mentioned.push(news.keyword);
            if (next.isUnsure) later();
        };
        void read();
        const reading = setInterval(() => document.hidden || void read(), READ_AGAIN_MS);
        const saying = setInterval(() => {
            moved.value = new Set();
            const [first] = mentioned;
            const others = mentioned.length - 1;
            if (first) said.value = t(others ? "trends.moved" : "trends.moved.one", { keyword: first, others });
            mentioned = [];
        }, SAY_EACH_MS);
        return () => {
            ended = true;
            listener.hear = () => {};
            listener.readAgain = () => {};
            clearTimeout(sure);
            clearInterval(reading);
            clearInterval(saying);
        };
    }, [region, full, person, isTierKnown.value, again.value]);

    // One subscription for all regions: only who asks decides which topic.
    useEffect(() => {
        if (!isTierKnown.value) return;
        let ended = false;
        let stop: (() => Promise<unknown>) | undefined;
        void leaving.then(async () => {
            // Before the list is read: what came between a list and a first cursor would be in neither.
            const begun = await rpc<{ cursor: number }>("trends_since").catch(() => null);
            if (ended) return;
            stop = watchTrends(supabase, (news) => listener.hear(news), {
                cursor: begun?.cursor,
                topic: full ? "trends:premium" : "trends",
                onLive: (live) => {
                    isLive.value = live;
                    if (live) listener.readAgain(); // what came before the first cursor
                    else if (full) void lookAgain(); // perhaps refused because the tier has ended
                },
                onMissed: () => listener.readAgain(),
                onError: () => {}, // it tries again by itself
            });
        });
        return () => {
            ended = true;
            isLive.value = false;
            leaving = stop?.() ?? Promise.resolve();
        };
    }, [full, person, isTierKnown.value]);

    const lines = board.value;
    return (
        <>
            <div class="page-head">
                <div>
                    <h1>{t("page.trends")}</h1>
                    <p class="soft">{t("trends.what")}</p>
                </div>
                <p class={`live ${isLive.value && isOnline.value ? "is-live" : ""}`}>
                    {t(isLive.value && isOnline.value ? "trends.live" : "trends.joining")}
                </p>
            </div>
            <div class="row">
                <label class="row">
                    {t("trends.region")}
                    <select value={region} onChange={(e) => replace(link("trends", { region: e.currentTarget.value }))}>
                        {[...REGIONS, EVERYWHERE].map((code) => (
                            <option key={code} value={code}>
                                {t(`region.${code as (typeof REGIONS)[number] | "all"}`)}
                            </option>
                        ))}
                    </select>
                </label>
            </div>
            {isTierKnown.value && !full && <Limits />}
            <p class="unseen" aria-live="polite">
                {said.value}
            </p>
            {!isTierKnown.value && <TierUnknown />}
            {isTierKnown.value && !lines && problem.value === null && <Loading />}
            {!lines && problem.value !== null && <Failed error={problem.value} retry={() => again.value++} />}
            {lines?.length === 0 && (
                <State title={t("trends.empty")}>
                    <p>{t("trends.empty.next")}</p>
                </State>
            )}
            {lines && lines.length > 0 && (
                <ol class="board" aria-label={t("page.trends")} role="list">
                    {lines.map((line, place) => (
                        <Line
                            key={line.key}
                            line={line}
                            place={place + 1}
                            prediction={foretold.value.get(line.key)}
                            isMoved={moved.value.has(line.key)}
                            namesRegion={region === EVERYWHERE}
                        />
                    ))}
                </ol>
            )}
        </>
    );
}

/** What is missing here and why: nothing of it is hidden by the page, the answer does not hold it. */
const Limits = () => (
    <p class={`note ${isExpired.value ? "warn" : ""}`} role="note">
        {t(isExpired.value ? "trends.expired" : user.value ? "trends.limited" : "trends.limited.visitor")}{" "}
        {!user.value && <a href={link("signin", { next: location.hash })}>{t("signin")}</a>}
    </p>
);

function Line(props: {
    line: BoardTrend;
    place: number;
    prediction?: Prediction;
    isMoved: boolean;
    namesRegion: boolean;
}) {
    const { line, place, prediction } = props;
    return (
        <li class={`line ${line.whole ? "is-whole" : ""} ${props.isMoved ? "is-moved" : ""}`}>
            <span class="place" aria-hidden="true">
                {place}
            </span>
            <div class="what">
                <a class="keyword" href={link("search", { q: line.keyword })}>
                    {line.keyword}
                </a>
                <span class="soft small">
                    {props.namesRegion && `${t(`region.${line.region_code}` as "region.KR")} · `}
                    <time dateTime={line.detected_at}>{format.ago(line.detected_at)}</time>
                </span>
            </div>
            <dl class="figures">
                <div>
                    <dt>{t("trends.score")}</dt>
                    <dd>{format.score(line.trend_score)}</dd>
                </div>
                <div>
                    <dt>{t("trends.growth")}</dt>
                    <dd class={line.growth_rate < 0 ? "down" : "up"}>{format.growth(line.growth_rate)}</dd>
                </div>
            </dl>
            {line.whole && <Day of={line.whole} />}
            {line.whole && <Forecast of={line.whole} prediction={prediction} />}
        </li>
    );
}

function Day({ of }: { of: WholeTrend }) {
    const series = of.hourly_trend_data as (number | null)[];
    const written = JSON.stringify(series);
    const data = useMemo(() => [series.map((_, hour) => hour), series] as [number[], (number | null)[]], [written]);
    if (!series.length) return <span class="day" />;
    const most = Math.max(...series.map((value) => value ?? 0));
    return (
        <div class="day">
            <Chart data={data} options={sparkline} height={40} label={t("trends.day", { now: series.at(-1) ?? "?", most })} />
        </div>
    );
}

function Forecast({ of, prediction }: { of: WholeTrend; prediction?: Prediction }) {
    const isOpen = useSignal(false);
    const interval = prediction?.confidence_interval ? format.rangeEnds(String(prediction.confidence_interval)) : null;
    const foretold = prediction?.predicted_score;
    return (
        <details class="forecast" onToggle={(e) => (isOpen.value = e.currentTarget.open)}>
            <summary>
                {t("trends.forecast")}
                {foretold != null && (
                    <strong>
                        {" "}
                        {format.score(foretold)}
                        {interval && ` (${format.score(interval[0])}–${format.score(interval[1])})`}
                    </strong>
                )}
            </summary>
            {isOpen.value && <Outlook of={of} prediction={prediction} interval={interval} />}
        </details>
    );
}

function Outlook(props: { of: WholeTrend; prediction?: Prediction; interval: [number, number] | null }) {
    const { of, prediction, interval } = props;
    const series = of.hourly_trend_data as (number | null)[];
    const written = JSON.stringify(series);
    const day = useMemo(() => {
        const end = Math.floor(Date.parse(of.detected_at) / 1000 / HOUR) * HOUR;
        return [series.map((_, hour) => end - (series.length - 1 - hour) * HOUR), series] as [number[], (number | null)[]];
    }, [written, of.detected_at]);
    const next = useMemo(() => {
        if (prediction?.predicted_score == null || !interval) return null;
        const at = Date.parse(prediction.predicted_for_date);
        const now = Math.min(Date.now(), at - DAY_MS);
        return [
            [now / 1000, at / 1000],
            [of.trend_score, interval[0]],
            [of.trend_score, interval[1]],
            [of.trend_score, prediction.predicted_score],
        ] as [number[], number[], number[], number[]];
    }, [of.trend_score, prediction]);
    return (
        <div class="outlook">
            {series.length > 0 && (
                <figure>
                    <figcaption>{t("trends.hours")}</figcaption>
                    <Chart data={day} options={hours} height={160} label={t("trends.hours")} />
                </figure>
            )}
            {next && prediction && (
                <figure>
                    <figcaption>
                        {t("trends.next", {
                            day: format.time(prediction.predicted_for_date, { month: "long", day: "numeric", timeZone: "UTC" }),
                            level: format.number(prediction.confidence_level ?? 0.8, { style: "percent" }),
                        })}
                    </figcaption>
                    <Chart data={next} options={outlook} height={160} label={t("trends.next.label", {
                        score: format.score(next[3][1]!),
                        from: format.score(interval![0]),
                        to: format.score(interval![1]),
                    })} />
                </figure>
            )}
            <dl class="facts">
                {of.predicted_peak_time && (
                    <div>
                        <dt>{t("trends.peak")}</dt>
                        <dd>{format.time(of.predicted_peak_time)}</dd>
                    </div>
                )}
                {of.predicted_duration != null && (
                    <div>
                        <dt>{t("trends.lasts")}</dt>
                        <dd>{t("hours", { hours: format.number(format.intervalSeconds(String(of.predicted_duration)) / HOUR, { maximumFractionDigits: 1 }) })}</dd>
                    </div>
                )}
                <div>
                    <dt>{t("trends.mentions")}</dt>
                    <dd>{format.number(of.search_volume)}</dd>
                </div>
                {of.category && (
                    <div>
                        <dt>{t("trends.category")}</dt>
                        <dd>{of.category}</dd>
                    </div>
                )}
                {of.related_keywords && of.related_keywords.length > 0 && (
                    <div>
                        <dt>{t("trends.related")}</dt>
                        <dd class="row">
                            {of.related_keywords.map((keyword) => (
                                <a key={keyword} href={link("search", { q: keyword })}>
                                    {keyword}
                                </a>
                            ))}
                        </dd>
                    </div>
                )}
            </dl>
            {!next && <p class="soft">{t("trends.no_forecast")}</p>}
        </div>
    );
}
