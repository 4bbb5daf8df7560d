import { useEffect } from "preact/hooks";
import { supabase } from "../client.ts";
import { AccountForm, EmailField, PasswordField } from "../components/account-form.tsx";
import { t } from "../messages.ts";
import { go, link, route } from "../router.ts";
import { user } from "../session.ts";

/** Only to a page of ours: an address elsewhere in `next` would make this page lend its trust. */
const nextPage = (next: string | null) => (next?.startsWith("#/") && !next.startsWith("#/signin") ? next : link("feed"));

export function SignIn() {
    const isNew = route.value.params.has("new");
    const next = route.value.params.get("next");

    useEffect(() => {
        if (user.value) go(isNew ? link("onboarding") : nextPage(next));
    }, [user.value?.id]);

    async function send({ email = "", password = "" }: Record<string, string>) {
        const account = { email: email.trim(), password };
        const { data, error } = await (isNew ? supabase.auth.signUp(account) : supabase.auth.signInWithPassword(account));
        if (error) throw error;
        if (!data.session) return "signin.confirm";
    }

    return (
        <div class="narrow">
            <h1>{t(isNew ? "signup" : "page.signin")}</h1>
            <p class="soft">{t("signin.what")}</p>
            <AccountForm key={isNew} button={isNew ? "signup" : "signin"} send={send}>
                <EmailField />
                <PasswordField isNew={isNew} />
            </AccountForm>
            <p>
                {t(isNew ? "signin.have" : "signin.none")}{" "}
                <a href={link("signin", { ...(isNew ? {} : { new: "1" }), ...(next && { next }) })}>
                    {t(isNew ? "signin" : "signup")}
                </a>
            </p>
            {!isNew && (
                <p>
                    <a href={link("recover")}>{t("signin.forgotten")}</a>
                </p>
            )}
        </div>
    );
}
