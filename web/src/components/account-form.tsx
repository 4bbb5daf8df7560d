import type { ComponentChildren } from "preact";
import { useSignal } from "@preact/signals";
import { refusalOf } from "../lib/account.ts";
import { t, type Key } from "../messages.ts";
import { isOnline } from "../session.ts";

/** A form that asks Auth for something: `send` gets what was typed, and answers what to say of it, if anything. */
export function AccountForm(props: {
    button: Key;
    send: (given: Record<string, string>) => Promise<Key | void>;
    children: ComponentChildren;
}) {
    const isWorking = useSignal(false);
    const said = useSignal<{ key: Key; isBad: boolean } | null>(null);

    async function send(event: SubmitEvent) {
        event.preventDefault();
        const given = Object.fromEntries(new FormData(event.currentTarget as HTMLFormElement)) as Record<string, string>;
        isWorking.value = true;
        said.value = null;
        try {
            const key = await props.send(given);
            if (key) said.value = { key, isBad: false };
        } catch (error) {
            said.value = { key: refusalOf(error, isOnline.value), isBad: true };
        } finally {
            isWorking.value = false;
        }
    }

    return (
        <form class="form card" onSubmit={(event) => void send(event)}>
            {props.children}
            {said.value && (
                <p class={`note ${said.value.isBad ? "warn" : ""}`} role="alert">
                    {t(said.value.key)}
                </p>
            )}
            <button class="primary" disabled={isWorking.value}>
                {t(isWorking.value ? "loading" : props.button)}
            </button>
        </form>
    );
}

export const EmailField = () => (
    <label>
        {t("signin.email")}
        <input type="email" name="email" required autocomplete="username" maxLength={255} />
    </label>
);

/** `isNew`: one that is made now, so the rule stands beside it. */
export const PasswordField = ({ isNew, label = "signin.password" }: { isNew: boolean; label?: Key }) => (
    <>
        <label>
            {t(label)}
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
    </>
);
