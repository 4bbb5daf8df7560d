import { useEffect } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { rpc, supabase } from "../client.ts";
import { CATEGORIES } from "../lib/categories.ts";
import { t } from "../messages.ts";
import { user } from "../session.ts";
import { language } from "../settings.ts";
import { KeywordBox } from "./keyword-box.tsx";
import { Failed, Loading } from "./state.tsx";

const NO_CHOICE = "general"; // what a profile begins with
const MOST_KEYWORDS = 50;

const toggled = (list: string[], item: string) =>
    list.includes(item) ? list.filter((other) => other !== item) : [...list, item];

/** What a person likes: the form of the first visit and of the profile. */
export function Tastes(props: { save: string; onSaved?: () => void; withDislikes?: boolean }) {
    const id = user.value!.id;
    const chosen = useSignal<{ categories: string[]; disliked: string[]; keywords: string[] } | undefined>(undefined);
    const popular = useSignal<string[]>([]);
    const typed = useSignal("");
    const problem = useSignal<unknown>(null);
    const state = useSignal<"" | "saving" | "saved">("");
    const again = useSignal(0);

    useEffect(() => {
        problem.value = null;
        supabase
            .from("user_profiles")
            .select("preferred_categories,disliked_categories,preferred_keywords")
            .eq("user_id", id)
            .single()
            .then(({ data, error }) => {
                if (error) return void (problem.value = error);
                chosen.value = {
                    categories: data.preferred_categories.filter((name) => name !== NO_CHOICE),
                    disliked: data.disliked_categories,
                    keywords: data.preferred_keywords,
                };
            });
        rpc<{ keyword: string }[], "trending_now">("trending_now", { limit: 8 }).then(
            (trends) => (popular.value = trends.map(({ keyword }) => keyword)),
            () => {}, // one can type them
        );
    }, [id, again.value]);

    const now = chosen.value;
    if (!now) return problem.value === null ? <Loading /> : <Failed error={problem.value} retry={() => again.value++} />;

    const change = (part: Partial<typeof now>) => {
        chosen.value = { ...now, ...part };
        state.value = "";
    };
    function add(given: string) {
        const keyword = given.trim();
        typed.value = "";
        if (keyword && now && !now.keywords.includes(keyword) && now.keywords.length < MOST_KEYWORDS)
            change({ keywords: [...now.keywords, keyword] });
    }
    async function save(event: SubmitEvent) {
        event.preventDefault();
        if (!now) return;
        const waiting = typed.value.trim(); // typed and not yet added is meant too
        const keywords = waiting && !now.keywords.includes(waiting) ? [...now.keywords, waiting] : now.keywords;
        typed.value = "";
        state.value = "saving";
        problem.value = null;
        const { error } = await supabase
            .from("user_profiles")
            .update({
                preferred_categories: now.categories.length ? now.categories : [NO_CHOICE],
                disliked_categories: now.disliked,
                preferred_keywords: keywords,
            })
            .eq("user_id", id);
        chosen.value = { ...now, keywords };
        problem.value = error;
        state.value = error ? "" : "saved";
        if (!error) props.onSaved?.();
    }

    const boxes = (list: "categories" | "disliked", legend: string) => (
        <fieldset>
            <legend>{legend}</legend>
            <div class="choices">
                {CATEGORIES.map((category) => (
                    <label key={category.id} class="choice">
                        <input
                            type="checkbox"
                            checked={now[list].includes(category.en)}
                            onChange={() =>
                                change({
                                    [list]: toggled(now[list], category.en),
                                    // Not both liked and refused.
                                    [list === "categories" ? "disliked" : "categories"]: now[
                                        list === "categories" ? "disliked" : "categories"
                                    ].filter((name) => name !== category.en),
                                })
                            }
                        />
                        {category[language.value]}
                    </label>
                ))}
            </div>
        </fieldset>
    );
    const offered = popular.value.filter((keyword) => !now.keywords.includes(keyword));
    return (
        <form class="form" onSubmit={(event) => void save(event)}>
            {boxes("categories", t("tastes.categories"))}
            {props.withDislikes && boxes("disliked", t("tastes.disliked"))}
            <fieldset>
                <legend>{t("tastes.keywords.what")}</legend>
                <div class="search-form">
                    <KeywordBox
                        label={t("tastes.keywords")}
                        placeholder={t("tastes.keywords.example")}
                        value={typed.value}
                        onInput={(value) => (typed.value = value)}
                        onChoose={add}
                    />
                    <button type="button" onClick={() => add(typed.value)}>
                        {t("add")}
                    </button>
                </div>
                {now.keywords.length > 0 && (
                    <ul class="chips" role="list" aria-label={t("tastes.chosen")}>
                        {now.keywords.map((keyword) => (
                            <li key={keyword}>
                                <button
                                    type="button"
                                    class="chip is-chosen"
                                    aria-label={t("tastes.remove", { keyword })}
                                    onClick={() => change({ keywords: now.keywords.filter((other) => other !== keyword) })}
                                >
                                    {keyword} <span aria-hidden="true">×</span>
                                </button>
                            </li>
                        ))}
                    </ul>
                )}
                {offered.length > 0 && (
                    <>
                        <p class="soft small">{t("tastes.popular")}</p>
                        <ul class="chips" role="list" aria-label={t("tastes.popular")}>
                            {offered.map((keyword) => (
                                <li key={keyword}>
                                    <button type="button" class="chip" onClick={() => add(keyword)}>
                                        <span aria-hidden="true">+</span> {keyword}
                                    </button>
                                </li>
                            ))}
                        </ul>
                    </>
                )}
            </fieldset>
            {problem.value !== null && <Failed error={problem.value} />}
            <div class="row">
                <button class="primary" disabled={state.value === "saving"}>
                    {props.save}
                </button>
                <span role="status">{state.value === "saved" && t("saved")}</span>
            </div>
        </form>
    );
}
