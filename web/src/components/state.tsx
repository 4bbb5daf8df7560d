import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { isRefusal } from "../client.ts";
import { isOnline, lookAgain, tierProblem } from "../session.ts";
import { link } from "../router.ts";
import { t } from "../messages.ts";

/** What stands where there is nothing to show: why, and what to do. */
export function State(props: { title: string; children?: ComponentChildren; role?: "status" | "alert" }) {
    return (
        <div class="state" role={props.role ?? "status"}>
            <p class="state-title">{props.title}</p>
            {props.children}
        </div>
    );
}

/** Offline nothing comes, however long somebody waits; supabase-js itself tries again for a while. */
export const Loading = () =>
    isOnline.value ? (
        <div class="loading" role="status" aria-label={t("loading")}>
            <span />
            <span />
            <span />
        </div>
    ) : (
        <Offline />
    );

/** `retry` is what to call again. Offline is told as such: nothing is wrong with what was asked. */
export function Failed({ error, retry }: { error: unknown; retry?: () => void }) {
    const wasOffline = useRef(false);
    const online = isOnline.value;
    useEffect(() => {
        if (online && wasOffline.current) retry?.(); // nobody has to press the button for that
        wasOffline.current = !online;
    }, [online]);
    if (!isOnline.value) return <Offline retry={retry} />;
    return (
        <State title={t("failed")} role="alert">
            <p>{isRefusal(error) ? (error.hint ?? error.message) : String(error)}</p>
            {retry && <button onClick={retry}>{t("retry")}</button>}
        </State>
    );
}

export const Offline = ({ retry }: { retry?: () => void }) => (
    <State title={t("offline")}>
        <p>{t("offline.next")}</p>
        {retry && <button onClick={retry}>{t("retry")}</button>}
    </State>
);

/** Until it is known what somebody may see, or why it cannot be known. */
export const TierUnknown = () =>
    tierProblem.value === null ? <Loading /> : <Failed error={tierProblem.value} retry={lookAgain} />;

export const SignedOut = ({ why }: { why: string }) => (
    <State title={why}>
        <a class="button primary" href={link("signin", { next: location.hash })}>
            {t("signin")}
        </a>
    </State>
);
