import { useSignal } from "@preact/signals";
import { supabase } from "../client.ts";
import { AccountForm, EmailField, PasswordField } from "../components/account-form.tsx";
import { t } from "../messages.ts";
import { link, route } from "../router.ts";
import { user } from "../session.ts";

/** A new password: by a mail for who has forgotten theirs, at once for who is signed in. */
export function Recover() {
    const sentTo = useSignal("");
    return (
        <div class="narrow">
            <h1>{t("page.recover")}</h1>
            {user.value ? <NewPassword /> : sentTo.value ? <Code email={sentTo.value} /> : <Ask onSent={(email) => (sentTo.value = email)} />}
        </div>
    );
}

function Ask({ onSent }: { onSent: (email: string) => void }) {
    async function send({ email = "" }: Record<string, string>) {
        // Without the fragment: the mail's link comes back with a query, and supabase-js makes a session of it.
        const redirectTo = location.origin + location.pathname;
        const { error } = await supabase.auth.resetPasswordForEmail(email.trim(), { redirectTo });
        if (error) throw error;
        onSent(email.trim());
    }
    return (
        <>
            {route.value.params.has("expired") && (
                <p class="note warn" role="alert">
                    {t("recover.expired")}
                </p>
            )}
            <p class="soft">{t("recover.what")}</p>
            <AccountForm button="recover.send" send={send}>
                <EmailField />
            </AccountForm>
            <p>
                <a href={link("signin")}>{t("signin")}</a>
            </p>
        </>
    );
}

/** Whether there is such an account is not told: the same is said of every address. */
function Code({ email }: { email: string }) {
    async function send({ code = "" }: Record<string, string>) {
        const { error } = await supabase.auth.verifyOtp({ email, token: code.trim(), type: "recovery" });
        if (error) throw error;
    }
    return (
        <>
            <p role="status">{t("recover.sent", { email })}</p>
            <AccountForm button="recover.next" send={send}>
                <label>
                    {t("recover.code")}
                    <input type="text" name="code" required inputMode="numeric" autocomplete="one-time-code" maxLength={20} />
                </label>
            </AccountForm>
        </>
    );
}

function NewPassword() {
    async function send({ password = "" }: Record<string, string>) {
        const { error } = await supabase.auth.updateUser({ password });
        if (error) throw error;
        return "recover.done" as const;
    }
    return (
        <>
            <p class="soft">{user.value!.email}</p>
            <AccountForm button="save" send={send}>
                <PasswordField isNew label="recover.new" />
            </AccountForm>
            <p>
                <a href={link("feed")}>{t("page.feed")}</a>
            </p>
        </>
    );
}
