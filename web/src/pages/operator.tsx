import type { ComponentChildren } from "preact";
import { useId, useMemo, useState } from "preact/hooks";
import type uPlot from "uplot";
import { isRefusal, rpc } from "../client.ts";
import { Answered, useAnswer, type Asked } from "../components/answer.tsx";
import { Chart } from "../components/chart.tsx";
import { Dialog } from "../components/dialog.tsx";
import { SignedOut, State } from "../components/state.tsx";
import { bytes, figure, milliseconds, number, seriesOf, type Point } from "../lib/figures.ts";
import { ago, time } from "../lib/format.ts";
import { messages, t, type Key } from "../messages.ts";
import { isAdmin, user } from "../session.ts";
import { language } from "../settings.ts";
import "./operator.css";

interface Alert {
    kind: string;
    subject: string;
    severity: "info" | "warning" | "critical";
    message: string;
    times_seen: number;
    first_seen_at: string;
}

interface Check {
    check_name: string;
    is_healthy: boolean;
    detail: string;
    hint: string | null;
}

interface Statement {
    query_id: string | null;
    kind: string;
    names: string[];
    calls: number;
    mean_ms: number;
    max_ms: number;
    total_ms: number;
    rows: number;
    is_slow: boolean;
}

interface DeadLetters {
    count: number;
    letters: {
        delivery_id: string;
        event_type: string;
        endpoint: string;
        is_a_persons: boolean;
        can_replay: boolean;
        last_status: number | null;
        last_error: string | null;
        died_at: string;
    }[];
}

interface Partitioned {
    parent: string;
    is_healthy: boolean;
    problem: string | null;
    days_ahead: number;
    stray_rows: number | null;
    retention: number | null;
    partitions: {
        name: string;
        from: string | null;
        to: string | null;
        is_default: boolean;
        row_estimate: number;
        bytes: number;
    }[];
}

interface Job {
    job_name: string;
    schedule: string | null;
    state: string;
    message: string | null;
    last_success_at: string | null;
    runs_in_a_day: number;
    failures_in_a_day: number;
    mean_ms: number | null;
    last_counts: Record<string, unknown> | null;
}

const AGAIN_MS = 30_000;
const SPANS = [1, 7, 30, 90] as const;

const count = (value: number) => number(value, language.value);

/** The board's word for a name of the database; what it does not know, such as a room's own, stays as it is. */
function named(prefix: string, name: string): string {
    const key = `${prefix}.${name}`;
    return Object.hasOwn(messages, key) ? t(key as Key) : name.replaceAll("_", " ");
}

/** What a check asks for. The details come from the database, in English: who reads Korean has at least this. */
const Rule = ({ of }: { of: string }) => {
    const key = `rule.${of}`;
    return language.value !== "en" && Object.hasOwn(messages, key) ? <p>{t(key as Key)}</p> : null;
};

export function Operator() {
    return (
        <>
            <h1>{t("page.operator")}</h1>
            {!user.value ? (
                <SignedOut why={t("operator.signedout")} />
            ) : isAdmin.value ? (
                <Report key={user.value.id} />
            ) : (
                <State title={t("operator.denied")}>
                    <p>{t("operator.denied.next")}</p>
                </State>
            )}
        </>
    );
}

function Report() {
    return (
        <>
            <p class="soft">{t("operator.intro")}</p>
            <Health />
            <Alerts />
            <Letters />
            <Figures />
            <Jobs />
            <Partitions />
            <Statements />
        </>
    );
}

function useSection<Answer>(section: string, days?: number): Asked<Answer> {
    return useAnswer(() => rpc<Answer>("operator_report", { section, ...(days && { days }) }), [section, days], AGAIN_MS);
}

function Section<Answer>(props: {
    title: string;
    asked: Asked<Answer>;
    beside?: ComponentChildren;
    children: (answer: Answer) => ComponentChildren;
}) {
    const heading = useId();
    return (
        <section class="card stack" aria-labelledby={heading}>
            <div class="row between">
                <h2 id={heading}>{props.title}</h2>
                {props.beside}
            </div>
            <Answered asked={props.asked}>{props.children}</Answered>
        </section>
    );
}

/** A table that is wider than the phone is moved inside its frame, by keyboard too. */
function Table(props: { label: string; columns: string[]; children: ComponentChildren }) {
    return (
        <div class="frame" role="group" aria-label={props.label} tabIndex={0}>
            <table>
                <thead>
                    <tr>
                        {props.columns.map((column) => (
                            <th key={column} scope="col">
                                {column}
                            </th>
                        ))}
                    </tr>
                </thead>
                <tbody>{props.children}</tbody>
            </table>
        </div>
    );
}

const Badge = ({ kind, children }: { kind: "up" | "down" | "soft"; children: ComponentChildren }) => (
    <span class={`badge ${kind}`}>{children}</span>
);

function Health() {
    const asked = useSection<Check[]>("health");
    return (
        <Section title={t("operator.health")} asked={asked}>
            {(checks) => {
                const bad = checks.filter((check) => !check.is_healthy);
                const good = checks.filter((check) => check.is_healthy);
                if (checks.length === 0) return <p class="soft">{t("operator.health.none")}</p>;
                return (
                    <>
                        <p role="status">
                            {bad.length ? (
                                <Badge kind="down">{t("operator.health.bad", { n: bad.length })}</Badge>
                            ) : (
                                <Badge kind="up">{t("operator.health.good")}</Badge>
                            )}
                        </p>
                        {bad.length > 0 && (
                            <ul class="plain">
                                {bad.map((check) => (
                                    <li key={check.check_name} class="trouble">
                                        <strong>{named("check", check.check_name)}</strong>
                                        <Rule of={check.check_name} />
                                        <p>{check.detail}</p>
                                        {check.hint && <p class="soft">{check.hint}</p>}
                                    </li>
                                ))}
                            </ul>
                        )}
                        <details>
                            <summary>{t("operator.health.fine", { n: good.length })}</summary>
                            <dl class="lines">
                                {good.map((check) => (
                                    <div key={check.check_name}>
                                        <dt>{named("check", check.check_name)}</dt>
                                        <dd>
                                            <Rule of={check.check_name} />
                                            <span class="soft">{check.detail}</span>
                                        </dd>
                                    </div>
                                ))}
                            </dl>
                        </details>
                    </>
                );
            }}
        </Section>
    );
}

function Alerts() {
    const asked = useSection<Alert[]>("alerts");
    return (
        <Section title={t("operator.alerts")} asked={asked}>
            {(alerts) =>
                alerts.length === 0 ? (
                    <p class="soft">{t("operator.alerts.none")}</p>
                ) : (
                    <ul class="plain">
                        {alerts.map((alert) => (
                            <li key={`${alert.kind} ${alert.subject}`} class="trouble">
                                <div class="row">
                                    <Badge kind={alert.severity === "critical" ? "down" : "soft"}>
                                        {t(`severity.${alert.severity}`)}
                                    </Badge>
                                    <strong>
                                        {named("alert", alert.kind)}: {alert.subject}
                                    </strong>
                                </div>
                                <p>{alert.message}</p>
                                <p class="soft">
                                    {t("operator.alerts.seen", { when: ago(alert.first_seen_at), n: count(alert.times_seen) })}
                                </p>
                            </li>
                        ))}
                    </ul>
                )
            }
        </Section>
    );
}

function Letters() {
    const asked = useSection<DeadLetters>("dead_letters");
    const [isBusy, setBusy] = useState(false);
    const [isAll, setAll] = useState(false);
    const [said, setSaid] = useState("");
    const [problem, setProblem] = useState("");
    const replay = async (ids?: string[]) => {
        setBusy(true);
        setSaid("");
        setProblem("");
        try {
            const sent = await rpc<number>("operator_replay", ids && { delivery_ids: ids });
            setSaid(t("replayed", { n: count(sent) }));
            await asked.again();
        } catch (error) {
            setProblem(navigator.onLine ? `${t("failed")} ${isRefusal(error) ? error.message : ""}` : t("offline"));
        } finally {
            setBusy(false);
            setAll(false);
        }
    };
    return (
        <Section
            title={t("operator.letters")}
            asked={asked}
            beside={
                asked.answer?.letters.some((letter) => letter.can_replay) && (
                    <button disabled={isBusy} onClick={() => setAll(true)}>
                        {t("operator.letters.all")}
                    </button>
                )
            }
        >
            {({ count: total, letters }) => (
                <>
                    <p role="status">{said}</p>
                    <p role="alert" class="problem">
                        {problem}
                    </p>
                    {total === 0 ? (
                        <p class="soft">{t("operator.letters.none")}</p>
                    ) : (
                        <>
                            <p>{t("operator.letters.count", { n: count(total), shown: count(letters.length) })}</p>
                            <Table
                                label={t("operator.letters")}
                                columns={[t("event"), t("endpoint"), t("reason"), t("operator.letters.died"), t("action")]}
                            >
                                {letters.map((letter) => (
                                    <tr key={letter.delivery_id}>
                                        <td>
                                            <code>{letter.event_type}</code>
                                        </td>
                                        <td>
                                            {letter.endpoint}
                                            {letter.is_a_persons && <span class="soft"> · {t("operator.letters.persons")}</span>}
                                        </td>
                                        <td>{letter.last_status ? `HTTP ${letter.last_status}` : letter.last_error}</td>
                                        <td>
                                            <time dateTime={letter.died_at}>{ago(letter.died_at)}</time>
                                        </td>
                                        <td>
                                            {letter.can_replay ? (
                                                <button
                                                    class="small"
                                                    disabled={isBusy}
                                                    onClick={() => replay([letter.delivery_id])}
                                                >
                                                    {t("operator.letters.replay")}
                                                </button>
                                            ) : (
                                                <span class="soft">{t("operator.letters.off")}</span>
                                            )}
                                        </td>
                                    </tr>
                                ))}
                            </Table>
                        </>
                    )}
                    {isAll && (
                        <Dialog title={t("operator.letters.all")} onClose={() => setAll(false)}>
                            <p>{t("operator.letters.sure", { n: count(Math.min(total, 5000)) })}</p>
                            <div class="row">
                                <button onClick={() => setAll(false)}>{t("cancel")}</button>
                                <button class="primary" disabled={isBusy} onClick={() => replay()}>
                                    {t("operator.letters.all.do")}
                                </button>
                            </div>
                        </Dialog>
                    )}
                </>
            )}
        </Section>
    );
}

const curve = ({ ember, glow }: Record<"ember" | "glow", string>): Omit<uPlot.Options, "width" | "height"> => ({
    cursor: { show: false },
    legend: { show: false },
    padding: [4, 2, 2, 2],
    axes: [{ show: false }, { show: false }],
    // From 0 up: a ratio that moves by a thousandth is a level line, not a cliff.
    scales: { y: { range: (_, least, most) => [Math.min(least, 0), Math.max(most * 1.1, 1)] } },
    series: [{}, { stroke: ember, fill: glow, width: 2, spanGaps: false }],
});

function Figures() {
    const [days, setDays] = useState<number>(7);
    const asked = useSection<Point[]>("figures", days);
    return (
        <Section
            title={t("operator.figures")}
            asked={asked}
            beside={
                <label class="row">
                    {t("operator.figures.span")}
                    <select value={days} onChange={(event) => setDays(Number(event.currentTarget.value))}>
                        {SPANS.map((span) => (
                            <option key={span} value={span}>
                                {t(`operator.days.${span}`)}
                            </option>
                        ))}
                    </select>
                </label>
            }
        >
            {(points) => (points.length === 0 ? <State title={t("operator.figures.none")} /> : <Curves points={points} />)}
        </Section>
    );
}

function Curves({ points }: { points: Point[] }) {
    const drawn = useMemo(() => {
        const { at, series } = seriesOf(points);
        return series.map((one) => ({ ...one, data: [at, one.values] as uPlot.AlignedData }));
    }, [points]);
    return (
        <ul class="plain curves">
            {drawn.map(({ name, newest, least, most, data }) => {
                const of = (value: number) => figure(name, value, language.value);
                const title = named("figure", name);
                return (
                    <li key={name}>
                        <p class="figure-name">{title}</p>
                        <p class="newest">{of(newest)}</p>
                        <Chart
                            data={data}
                            options={curve}
                            height={64}
                            label={t("operator.figures.label", { name: title, newest: of(newest), least: of(least), most: of(most) })}
                        />
                        <p class="soft">{t("operator.figures.range", { least: of(least), most: of(most) })}</p>
                    </li>
                );
            })}
        </ul>
    );
}

function Jobs() {
    const asked = useSection<Job[]>("jobs");
    return (
        <Section title={t("operator.jobs")} asked={asked}>
            {(jobs) =>
                jobs.length === 0 ? (
                    <State title={t("operator.jobs.none")} />
                ) : (
                    <Table
                        label={t("operator.jobs")}
                        columns={[
                            t("operator.jobs.job"),
                            t("operator.jobs.state"),
                            t("operator.jobs.schedule"),
                            t("operator.jobs.success"),
                            t("operator.jobs.day"),
                            t("operator.jobs.counts"),
                        ]}
                    >
                        {jobs.map((job) => (
                            <tr key={job.job_name}>
                                <th scope="row">{job.job_name}</th>
                                <td>
                                    <Badge kind={job.state === "healthy" ? "up" : "down"}>{named("job", job.state)}</Badge>
                                    {job.message && <p class="soft">{job.message}</p>}
                                </td>
                                <td>
                                    <code>{job.schedule ?? "–"}</code>
                                </td>
                                <td>{job.last_success_at ? ago(job.last_success_at) : t("never")}</td>
                                <td>
                                    {t("operator.jobs.runs", { n: count(job.runs_in_a_day), failed: count(job.failures_in_a_day) })}
                                    {job.mean_ms !== null && ` · ${milliseconds(job.mean_ms, language.value)}`}
                                </td>
                                <td>
                                    {Object.entries(job.last_counts ?? {})
                                        .map(([name, value]) => `${name} ${typeof value === "number" ? count(value) : JSON.stringify(value)}`)
                                        .join(", ") || "–"}
                                </td>
                            </tr>
                        ))}
                    </Table>
                )
            }
        </Section>
    );
}

const day = (at: string | null) =>
    at === null || at.endsWith("infinity") ? "∞" : time(at, { dateStyle: "medium", timeZone: "UTC" });

function Partitions() {
    const asked = useSection<Partitioned[]>("partitions");
    return (
        <Section title={t("operator.partitions")} asked={asked}>
            {(tables) =>
                tables.length === 0 ? (
                    <State title={t("operator.partitions.none")} />
                ) : (
                    <ul class="plain">
                        {tables.map((table) => (
                            <li key={table.parent}>
                                <details>
                                    <summary>
                                        <Badge kind={table.is_healthy ? "up" : "down"}>{t(table.is_healthy ? "well" : "unwell")}</Badge>{" "}
                                        <strong>{table.parent}</strong>{" "}
                                        <span class="soft">
                                            {t("operator.partitions.ahead", { n: count(table.days_ahead) })}
                                            {" · "}
                                            {table.retention === null
                                                ? t("operator.partitions.forever")
                                                : t("operator.partitions.kept", { n: count(table.retention) })}
                                            {" · "}
                                            {bytes(
                                                table.partitions.reduce((sum, part) => sum + part.bytes, 0),
                                                language.value,
                                            )}
                                        </span>
                                        {table.problem && <p class="problem">{table.problem}</p>}
                                    </summary>
                                    <Table
                                        label={table.parent}
                                        columns={[t("name"), t("operator.partitions.from"), t("operator.partitions.to"), t("rows"), t("size")]}
                                    >
                                        {table.partitions.map((part) => (
                                            <tr key={part.name}>
                                                <th scope="row">{part.name}</th>
                                                <td>{part.is_default ? t("operator.partitions.default") : day(part.from)}</td>
                                                <td>{part.is_default ? "" : day(part.to)}</td>
                                                <td>{count(part.row_estimate)}</td>
                                                <td>{bytes(part.bytes, language.value)}</td>
                                            </tr>
                                        ))}
                                    </Table>
                                </details>
                            </li>
                        ))}
                    </ul>
                )
            }
        </Section>
    );
}

function Statements() {
    const asked = useSection<Statement[] | null>("statements");
    return (
        <Section title={t("operator.statements")} asked={asked}>
            {(statements) =>
                !statements?.length ? (
                    <p class="soft">{t(statements ? "operator.statements.none" : "operator.statements.unmeasured")}</p>
                ) : (
                    <>
                        <p class="soft">{t("operator.statements.what")}</p>
                        <Table
                            label={t("operator.statements")}
                            columns={[
                                t("operator.statements.names"),
                                t("operator.statements.mean"),
                                t("operator.statements.max"),
                                t("operator.statements.calls"),
                                t("operator.statements.total"),
                                t("rows"),
                                "queryid",
                            ]}
                        >
                            {statements.map((statement) => (
                                <tr key={statement.query_id}>
                                    <td>
                                        <code>{statement.kind}</code> {statement.names.join(", ")}
                                    </td>
                                    <td>
                                        {milliseconds(statement.mean_ms, language.value)}
                                        {statement.is_slow && (
                                            <>
                                                {" "}
                                                <Badge kind="down">{t("operator.statements.slow")}</Badge>
                                            </>
                                        )}
                                    </td>
                                    <td>{milliseconds(statement.max_ms, language.value)}</td>
                                    <td>{count(statement.calls)}</td>
                                    <td>{milliseconds(statement.total_ms, language.value)}</td>
                                    <td>{count(statement.rows)}</td>
                                    <td>
                                        <code>{statement.query_id}</code>
                                    </td>
                                </tr>
                            ))}
                        </Table>
                    </>
                )
            }
        </Section>
    );
}
