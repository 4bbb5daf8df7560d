import { useId, useState } from "preact/hooks";
import { isRefusal, rpc, supabase, type Tables } from "../client.ts";
import { Answered, useAnswer } from "../components/answer.tsx";
import { Dialog } from "../components/dialog.tsx";
import { SignedOut, State, TierUnknown } from "../components/state.tsx";
import { milliseconds } from "../lib/figures.ts";
import { ago, time } from "../lib/format.ts";
import { t, type Key } from "../messages.ts";
import { isExpired, isPremium, isTierKnown, user } from "../session.ts";
import { language } from "../settings.ts";
import "./operator.css";

type Endpoint = Tables["webhook_endpoints"]["Row"];

interface Secret {
    id: string;
    secret: string;
    previous_until?: string | null;
}

interface Delivery {
    delivery_id: string;
    webhook_id: string;
    event_type: string;
    created_at: string;
    state: "scheduled" | "delivered" | "dead";
    attempt: number;
    next_attempt_at: string | null;
    last_status: number | null;
    last_error: string | null;
    attempts: { attempt: number; status: number | null; error: string | null; duration_ms: number | null; ended_at: string }[];
}

interface Log {
    deliveries: Delivery[];
    next_before: string | null;
}

const EVENT_TYPES = ["trend.detected", "trend.updated"] as const;
const OVERLAPS = [0, 3_600, 86_400, 604_800] as const;
const PAGE = 20;
const LOG_AGAIN_MS = 4_000;
const LIST_AGAIN_MS = 30_000;

async function endpointsOf(person: string): Promise<Endpoint[]> {
    const { data, error } = await supabase
        .from("webhook_endpoints")
        .select()
        .eq("user_id", person)
        .order("created_at", { ascending: false });
    if (error) throw error;
    return data;
}

/** What a refusal means here, in the language of the board; the server's own words say the rest. */
function told(error: unknown): string {
    const code = isRefusal(error) ? error.code : undefined;
    const known = ({ PT400: "webhooks.refused", PT403: "webhooks.needs", PT404: "webhooks.gone", PT409: "webhooks.conflict" } as const)[
        code ?? ""
    ];
    if (!navigator.onLine) return t("offline");
    if (!known) return isRefusal(error) ? `${t("failed")} ${error.message}` : t("failed");
    const said = isRefusal(error) ? [error.message, (error as { details?: string }).details].filter(Boolean).join(" ") : "";
    return language.value === "en" && code !== "PT403" ? said : t(known);
}

/** One thing at a time: while it runs its buttons are off, and what it was refused with is told. */
function useAction() {
    const [isBusy, setBusy] = useState(false);
    const [problem, setProblem] = useState<string>();
    const run = async (action: () => Promise<void>) => {
        setBusy(true);
        setProblem(undefined);
        try {
            await action();
        } catch (error) {
            setProblem(told(error));
        } finally {
            setBusy(false);
        }
    };
    return { isBusy, problem, run, refuse: setProblem };
}

const Problem = ({ text }: { text?: string }) => (
    <p class="problem" role="alert">
        {text}
    </p>
);

export function Webhooks() {
    const person = user.value?.id;
    return (
        <>
            <h1>{t("page.webhooks")}</h1>
            <p class="soft">{t("webhooks.intro")}</p>
            {person ? <Own key={person} person={person} /> : <SignedOut why={t("webhooks.signedout")} />}
        </>
    );
}

function Own({ person }: { person: string }) {
    const [secret, setSecret] = useState<Secret>();
    const asked = useAnswer(() => endpointsOf(person), [person], LIST_AGAIN_MS);
    if (!isTierKnown.value) return <TierUnknown />;
    return (
        <>
            {isPremium.value ? (
                <Add
                    onAdded={(made) => {
                        setSecret(made);
                        void asked.again();
                    }}
                />
            ) : (
                <State title={t(isExpired.value ? "webhooks.expired" : "webhooks.needs")}>
                    <p>{t(isExpired.value ? "webhooks.expired.next" : "webhooks.needs.next")}</p>
                </State>
            )}
            <Answered asked={asked}>
                {(endpoints) =>
                    endpoints.length === 0 ? (
                        isPremium.value && <State title={t("webhooks.none")} />
                    ) : (
                        <ul class="plain">
                            {endpoints.map((endpoint) => (
                                <li key={endpoint.id}>
                                    <One endpoint={endpoint} again={asked.again} onSecret={setSecret} />
                                </li>
                            ))}
                        </ul>
                    )
                }
            </Answered>
            {secret && <ShowSecret made={secret} onClose={() => setSecret(undefined)} />}
        </>
    );
}

function Add({ onAdded }: { onAdded: (made: Secret) => void }) {
    const action = useAction();
    const submit = (event: SubmitEvent) => {
        event.preventDefault();
        const form = event.currentTarget as HTMLFormElement;
        const given = new FormData(form);
        if (!given.has("event")) return action.refuse(t("webhooks.no_event"));
        void action.run(async () => {
            const made = await rpc<Secret>("add_my_webhook", {
                url: String(given.get("url")).trim(),
                event_types: given.getAll("event"),
                description: String(given.get("description")).trim() || null,
            });
            form.reset();
            onAdded(made);
        });
    };
    return (
        <form class="card form" onSubmit={submit} aria-label={t("webhooks.add.title")}>
            <h2>{t("webhooks.add.title")}</h2>
            <label>
                {t("webhooks.url")}
                <input
                    type="url"
                    name="url"
                    required
                    maxLength={2000}
                    pattern="https://.+"
                    title={t("webhooks.url.rule")}
                    placeholder="https://example.com/hooks/ondol"
                    autocomplete="off"
                    spellcheck={false}
                />
                <span class="soft">{t("webhooks.url.rule")}</span>
            </label>
            <label>
                {t("webhooks.description")}
                <input type="text" name="description" maxLength={500} />
            </label>
            <fieldset>
                <legend>{t("webhooks.events")}</legend>
                {EVENT_TYPES.map((name) => (
                    <label key={name} class="choice">
                        <input type="checkbox" name="event" value={name} defaultChecked={name === "trend.detected"} />
                        <span>
                            <code>{name}</code> <span class="soft">{t(`webhooks.${name}`)}</span>
                        </span>
                    </label>
                ))}
            </fieldset>
            <Problem text={action.problem} />
            <div>
                <button class="primary" disabled={action.isBusy}>
                    {t("webhooks.add")}
                </button>
            </div>
        </form>
    );
}

function state(endpoint: Endpoint): { key: Key; kind: "up" | "down" | "soft" } {
    const { disabled_reason, disabled_at, failing_since, entitled_until } = endpoint;
    if (disabled_at && disabled_reason === "gone") return { key: "webhooks.state.gone", kind: "down" };
    if (disabled_at && disabled_reason === "failing") return { key: "webhooks.state.disabled", kind: "down" };
    if (disabled_at) return { key: "webhooks.state.off", kind: "soft" };
    if (entitled_until && Date.parse(entitled_until) <= Date.now()) return { key: "webhooks.state.ended", kind: "down" };
    if (failing_since) return { key: "webhooks.state.failing", kind: "down" };
    return { key: "webhooks.state.on", kind: "up" };
}

function One(props: { endpoint: Endpoint; again: () => Promise<void>; onSecret: (made: Secret) => void }) {
    const { endpoint, again, onSecret } = props;
    const heading = useId();
    const action = useAction();
    const [said, setSaid] = useState("");
    const [asks, setAsks] = useState<"rotate" | "remove">();
    const [isLogOpen, setLogOpen] = useState(false);
    const [sent, setSent] = useState(0);
    const { key, kind } = state(endpoint);
    const isOn = endpoint.disabled_at === null;
    const run = (what: () => Promise<void>) => {
        setSaid("");
        return action.run(what);
    };

    const test = () =>
        run(async () => {
            const { webhook_id } = await rpc<{ webhook_id: string }>("test_my_webhook", { endpoint_id: endpoint.id });
            setSaid(t("webhooks.tested", { id: webhook_id }));
            setLogOpen(true);
            setSent((count) => count + 1);
        });
    const replay = () =>
        run(async () => {
            const count = await rpc<number>("replay_my_webhooks", { endpoint_id: endpoint.id });
            setSaid(t("replayed", { n: count }));
            setSent((before) => before + 1);
        });
    const turn = () =>
        run(async () => {
            await rpc("set_my_webhook", { endpoint_id: endpoint.id, is_enabled: !isOn });
            await again();
        });
    const remove = () =>
        run(async () => {
            await rpc("remove_my_webhook", { endpoint_id: endpoint.id });
            setAsks(undefined);
            await again();
            document.getElementById("main")?.focus(); // the button that had the focus is gone
        });
    const rotate = (event: SubmitEvent) => {
        event.preventDefault();
        const overlap = Number(new FormData(event.currentTarget as HTMLFormElement).get("overlap"));
        return run(async () => {
            const made = await rpc<Secret>("rotate_my_webhook_secret", { endpoint_id: endpoint.id, overlap_seconds: overlap });
            setAsks(undefined);
            onSecret(made);
            await again();
        });
    };

    return (
        <article class="card stack" aria-labelledby={heading}>
            <div class="row between">
                <h2 id={heading}>{endpoint.description || hostOf(endpoint.url)}</h2>
                <span class={`badge ${kind}`}>{t(key)}</span>
            </div>
            <code>{endpoint.url}</code>
            <dl class="facts">
                <div>
                    <dt>{t("webhooks.events")}</dt>
                    <dd>{endpoint.event_types.join(", ")}</dd>
                </div>
                <div>
                    <dt>{t("webhooks.arrived")}</dt>
                    <dd>{endpoint.last_success_at ? ago(endpoint.last_success_at) : t("never")}</dd>
                </div>
                {endpoint.failing_since && (
                    <div>
                        <dt>{t("webhooks.failing")}</dt>
                        <dd>{ago(endpoint.failing_since)}</dd>
                    </div>
                )}
                {endpoint.previous_secret_until && Date.parse(endpoint.previous_secret_until) > Date.now() && (
                    <div>
                        <dt>{t("webhooks.previous")}</dt>
                        <dd>{ago(endpoint.previous_secret_until)}</dd>
                    </div>
                )}
            </dl>
            <div class="row" role="group" aria-labelledby={heading}>
                <button onClick={test} disabled={action.isBusy || !isPremium.value || !isOn}>
                    {t("webhooks.test")}
                </button>
                <button onClick={() => setAsks("rotate")} disabled={action.isBusy || !isPremium.value}>
                    {t("webhooks.rotate")}
                </button>
                <button aria-expanded={isLogOpen} onClick={() => setLogOpen(!isLogOpen)}>
                    {t("webhooks.log")}
                </button>
                <button onClick={replay} disabled={action.isBusy || !isPremium.value || !isOn}>
                    {t("webhooks.replay")}
                </button>
                <button onClick={turn} disabled={action.isBusy || (!isOn && !isPremium.value)}>
                    {t(isOn ? "webhooks.off" : "webhooks.on")}
                </button>
                <button class="danger" onClick={() => setAsks("remove")} disabled={action.isBusy}>
                    {t("webhooks.remove")}
                </button>
            </div>
            <p role="status" class="soft">
                {said}
            </p>
            {!asks && <Problem text={action.problem} />}
            {isLogOpen && <DeliveryLog endpoint={endpoint.id} sent={sent} />}
            {asks === "remove" && (
                <Dialog title={t("webhooks.remove.title")} onClose={() => setAsks(undefined)}>
                    <p>{t("webhooks.remove.text", { host: hostOf(endpoint.url) })}</p>
                    <Problem text={action.problem} />
                    <div class="row">
                        <button autofocus onClick={() => setAsks(undefined)}>
                            {t("cancel")}
                        </button>
                        <button class="danger" onClick={remove} disabled={action.isBusy}>
                            {t("webhooks.remove.do")}
                        </button>
                    </div>
                </Dialog>
            )}
            {asks === "rotate" && (
                <Dialog title={t("webhooks.rotate.title")} onClose={() => setAsks(undefined)}>
                    <form class="form" onSubmit={rotate}>
                        <label>
                            {t("webhooks.overlap")}
                            <select name="overlap" autofocus>
                                {OVERLAPS.map((seconds) => (
                                    <option key={seconds} value={seconds} selected={seconds === 86_400}>
                                        {t(`webhooks.overlap.${seconds}`)}
                                    </option>
                                ))}
                            </select>
                        </label>
                        <p class="soft">{t("webhooks.overlap.why")}</p>
                        <Problem text={action.problem} />
                        <div class="row">
                            <button type="button" onClick={() => setAsks(undefined)}>
                                {t("cancel")}
                            </button>
                            <button class="primary" disabled={action.isBusy}>
                                {t("webhooks.rotate.do")}
                            </button>
                        </div>
                    </form>
                </Dialog>
            )}
        </article>
    );
}

function hostOf(url: string): string {
    return URL.canParse(url) ? new URL(url).host : url;
}

function ShowSecret({ made, onClose }: { made: Secret; onClose: () => void }) {
    const [said, setSaid] = useState("");
    const copy = async () => {
        try {
            await navigator.clipboard.writeText(made.secret);
            setSaid(t("copied"));
        } catch {
            setSaid(t("copy.yourself")); // a page without https may not
        }
    };
    return (
        <Dialog title={t("webhooks.secret.title")} onClose={onClose}>
            <p>{t("webhooks.secret.once")}</p>
            <input
                class="secret"
                readOnly
                value={made.secret}
                aria-label={t("webhooks.secret")}
                onFocus={(event) => event.currentTarget.select()}
            />
            {made.previous_until && (
                <p class="soft">{t("webhooks.secret.previous", { when: ago(made.previous_until) })}</p>
            )}
            <p role="status" class="soft">
                {said}
            </p>
            <div class="row">
                <button onClick={copy}>{t("copy")}</button>
                <button class="primary" onClick={onClose}>
                    {t("webhooks.secret.kept")}
                </button>
            </div>
        </Dialog>
    );
}

function DeliveryLog({ endpoint, sent }: { endpoint: string; sent: number }) {
    const [before, setBefore] = useState<string>();
    const asked = useAnswer(
        () => rpc<Log>("my_webhook_log", { endpoint_id: endpoint, limit: PAGE, before: before ?? null }),
        [endpoint, before, sent],
        LOG_AGAIN_MS,
    );
    return (
        <section class="stack" aria-label={t("webhooks.log")}>
            <Answered asked={asked}>
                {({ deliveries, next_before }) =>
                    deliveries.length === 0 && !before ? (
                        <State title={t("webhooks.log.none")} />
                    ) : (
                        <>
                            <ol class="plain log">
                                {deliveries.map((delivery) => (
                                    <li key={delivery.delivery_id}>
                                        <Sent delivery={delivery} />
                                    </li>
                                ))}
                            </ol>
                            <div class="row">
                                {before && <button onClick={() => setBefore(undefined)}>{t("newest")}</button>}
                                {next_before && <button onClick={() => setBefore(next_before)}>{t("older")}</button>}
                            </div>
                        </>
                    )
                }
            </Answered>
        </section>
    );
}

const KINDS = { delivered: "up", scheduled: "soft", dead: "down" } as const;

function Sent({ delivery }: { delivery: Delivery }) {
    const last = delivery.last_status ? `HTTP ${delivery.last_status}` : delivery.last_error;
    return (
        <details>
            <summary>
                <span class={`badge ${KINDS[delivery.state]}`}>{t(`webhooks.${delivery.state}`)}</span>{" "}
                <code>{delivery.event_type}</code>{" "}
                <span class="soft">
                    <time dateTime={delivery.created_at}>{ago(delivery.created_at)}</time>
                    {last && ` · ${last}`}
                    {delivery.state === "scheduled" &&
                        delivery.next_attempt_at &&
                        delivery.attempt > 0 &&
                        ` · ${t("webhooks.next", { when: ago(delivery.next_attempt_at) })}`}
                </span>
            </summary>
            <p>
                <code>{delivery.webhook_id}</code>
            </p>
            {delivery.attempts.length === 0 ? (
                <p class="soft">{t("webhooks.attempts.none")}</p>
            ) : (
                <ol class="attempts">
                    {delivery.attempts.map((attempt) => (
                        <li key={`${attempt.ended_at} ${attempt.attempt}`} value={attempt.attempt}>
                            {attempt.status ? `HTTP ${attempt.status}` : attempt.error}
                            <span class="soft">
                                {" · "}
                                <time dateTime={attempt.ended_at}>{time(attempt.ended_at, { dateStyle: "short", timeStyle: "medium" })}</time>
                                {attempt.duration_ms !== null && ` · ${milliseconds(attempt.duration_ms, language.value)}`}
                            </span>
                        </li>
                    ))}
                </ol>
            )}
        </details>
    );
}
