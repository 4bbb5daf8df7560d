import { useEffect } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { isAuthApiError } from "@supabase/supabase-js";
import { supabase } from "../client.ts";
import { t, type Key } from "../messages.ts";
import { go, link, route } from "../router.ts";
import { isOnline, user } from "../session.ts";

const KNOWN: Record<string, Key> = {
    invalid_credentials: "signin.wrong",
    email_not_confirmed: "signin.unconfirmed",
    user_already_exists: "signin.taken",
    email_exists: "signin.taken",
    weak_password: "signin.weak",
    over_request_rate_limit: "signin.slow",
    over_email_send_rate_limit: "signin.slow",
};

/** Only to a page of ours: an address elsewhere in `next` would make this page lend its trust. */
const nextPage = (next: string | null) => (next?.startsWith("#/") && !next.startsWith("#/signin") ? next : link("feed"));

export function SignIn() {
    const isNew = route.value.params.has("new");
    const next = route.value.params.get("next");
    const isWorking = useSignal(false);
    const said = useSignal<{ key: Key; isBad: boolean } | null>(null);

    useEffect(() => {
        if (user.value) go(isNew ? link("onboarding") : nextPage(next));
    }, [user.value?.id]);
    useEffect(() => {
        said.value = null;
    }, [isNew]);

    async function send(event: SubmitEvent) {
        event.preventDefault();
        const given = new FormData(event.currentTarget as HTMLFormElement);
        const account = { email: String(given.get("email")).trim(), password: String(given.get("password")) };
        isWorking.value = true;
        said.value = null;
        try {
            const { data, error } = isNew ? await supabase.auth.signUp(account) : await supabase.auth.signInWithPassword(account);
            if (error) throw error;
            if (!data.session) said.value = { key: "signin.confirm", isBad: false };
        } catch (error) {
            const code = isAuthApiError(error) ? (error.code ?? "") : "";
            said.value = { key: KNOWN[code] ?? (isOnline.value ? "failed" : "offline"), isBad: true };
        } finally {
            isWorking.value = false;
        }
    }

    return (
        <div class="narrow">
            <h1>{t(isNew ? "signup" : "page.signin")}</h1>
            <p class="soft">{t("signin.what")}</p>
            <form class="form card" onSubmit={(event) => void send(event)}>
                <label>
                    {t("signin.email")}
                    <input type="email" name="email" required autocomplete="username" maxLength={255} />
                </label>
                <label>
                    {t("signin.password")}
                    <input
                        type="password"
                        name="password"
                        required
                        minLength={isNew ? 8 : undefined}
                        autocomplete={isNew ? "new-password" : "current-password"}
                        aria-describedby={isNew ? "password-rule" : undefined}
                    />
                </label>
                {isNew && (
                    <p id="password-rule" class="soft small">
                        {t("signin.rule")}
                    </p>
                )}
                {said.value && (
                    <p class={`note ${said.value.isBad ? "warn" : ""}`} role="alert">
                        {t(said.value.key)}
                    </p>
                )}
                <button class="primary" disabled={isWorking.value}>
                    {t(isNew ? "signup" : "signin")}
                </button>
            </form>
            <p>
                {t(isNew ? "signin.have" : "signin.none")}{" "}
                <a href={link("signin", { ...(isNew ? {} : { new: "1" }), ...(next && { next }) })}>
                    {t(isNew ? "signin" : "signup")}
                </a>
            </p>
        </div>
    );
}
