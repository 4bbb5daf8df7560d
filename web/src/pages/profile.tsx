import { useEffect } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { supabase, type Tables } from "../client.ts";
import { Failed, Loading, SignedOut, State } from "../components/state.tsx";
import { Tastes } from "../components/tastes.tsx";
import * as format from "../lib/format.ts";
import { t } from "../messages.ts";
import { go, link } from "../router.ts";
import { isExpired, isTierKnown, settings, tier, tierEndsAt, user } from "../session.ts";

const MOST_NEWS = 20;

export function Profile() {
    const person = user.value;
    if (!person)
        return (
            <div class="narrow">
                <h1>{t("page.profile")}</h1>
                <SignedOut why={t("profile.signed_out")} />
            </div>
        );
    return (
        <div class="narrow" key={person.id}>
            <h1>{t("page.profile")}</h1>
            <section class="card stack" aria-labelledby="account">
                <h2 id="account">{t("profile.account")}</h2>
                <p>{person.email}</p>
                <p>
                    {t("profile.tier")} <strong>{isTierKnown.value ? t(`tier.${tier.value}`) : "…"}</strong>
                    {tierEndsAt.value && (
                        <span class="soft">
                            {" "}
                            {t(isExpired.value ? "profile.ended" : "profile.until", { when: format.time(tierEndsAt.value) })}
                        </span>
                    )}
                </p>
                {isExpired.value && <p class="note warn">{t("profile.expired")}</p>}
                <div class="row">
                    <a class="button" href={link("recover")}>
                        {t("profile.password")}
                    </a>
                    <button
                        onClick={() => {
                            void supabase.auth.signOut().then(() => go(link("trends")));
                        }}
                    >
                        {t("signout")}
                    </button>
                </div>
            </section>
            <News />
            <Settings />
            <section class="card stack" aria-labelledby="tastes">
                <h2 id="tastes">{t("profile.tastes")}</h2>
                <Tastes save={t("save")} withDislikes />
            </section>
        </div>
    );
}

function Settings() {
    const problem = useSignal<unknown>(null);
    const said = useSignal("");

    async function set(part: Partial<typeof settings.value>) {
        const before = settings.value;
        settings.value = { ...before, ...part };
        said.value = "";
        problem.value = null;
        const { error } = await supabase.from("users").update({ settings: settings.value }).eq("id", user.value!.id);
        if (error) settings.value = before;
        problem.value = error;
        said.value = error ? "" : t("saved");
    }

    return (
        <section class="card stack" aria-labelledby="settings">
            <h2 id="settings">{t("profile.settings")}</h2>
            {(["notifications", "auto_play"] as const).map((key) => (
                <label key={key} class="choice">
                    <input
                        type="checkbox"
                        checked={settings.value[key]}
                        onChange={(event) => void set({ [key]: event.currentTarget.checked })}
                    />
                    {t(`profile.${key}`)}
                </label>
            ))}
            <span role="status">{said.value}</span>
            {problem.value !== null && <Failed error={problem.value} />}
        </section>
    );
}

type Notification = Tables["notifications"]["Row"];

function News() {
    const id = user.value!.id;
    const list = useSignal<Notification[] | undefined>(undefined);
    const problem = useSignal<unknown>(null);

    async function read() {
        const { data, error } = await supabase
            .from("notifications")
            .select()
            .order("created_at", { ascending: false })
            .limit(MOST_NEWS);
        problem.value = error;
        if (data) list.value = data;
    }
    useEffect(() => {
        void read();
        // Only a nudge: what is shown is what the table says.
        const channel = supabase
            .channel(`user:${id}`, { config: { private: true } })
            .on("broadcast", { event: "notification" }, () => void read())
            .subscribe();
        return () => void supabase.removeChannel(channel);
    }, [id]);

    async function readAll() {
        const { error } = await supabase.from("notifications").update({ read_at: new Date().toISOString() }).is("read_at", null);
        problem.value = error;
        await read();
    }

    const news = list.value;
    return (
        <section class="card stack" aria-labelledby="news">
            <h2 id="news">{t("profile.news")}</h2>
            {problem.value !== null && <Failed error={problem.value} retry={() => void read()} />}
            {!news && problem.value === null && <Loading />}
            {news?.length === 0 && (
                <State title={t("profile.news.empty")}>
                    <p>{t("profile.news.empty.next")}</p>
                </State>
            )}
            {news && news.length > 0 && (
                <>
                    <ul class="news" aria-live="polite">
                        {news.map((item) => (
                            <li key={item.id} class={item.read_at ? "soft" : ""}>
                                <a href={link("search", { q: item.keyword })}>{t("profile.news.trend", { keyword: item.keyword })}</a>{" "}
                                <time class="soft small" dateTime={item.created_at}>
                                    {format.ago(item.created_at)}
                                </time>
                            </li>
                        ))}
                    </ul>
                    {news.some((item) => !item.read_at) && (
                        <div class="row">
                            <button onClick={() => void readAll()}>{t("profile.news.read")}</button>
                        </div>
                    )}
                </>
            )}
        </section>
    );
}
