import type { ComponentChildren } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { t } from "../messages.ts";
import { Failed, Loading } from "./state.tsx";

export interface Asked<Answer> {
    answer?: Answer;
    error?: unknown;
    again: () => Promise<void>;
}

/** Asks now, whenever one of `keys` changes, when the connection is back, and every `everyMs` while somebody looks. */
export function useAnswer<Answer>(ask: () => Promise<Answer>, keys: unknown[], everyMs?: number): Asked<Answer> {
    const [state, setState] = useState<{ answer?: Answer; error?: unknown }>({});
    const newest = useRef(0);
    const again = useCallback(async () => {
        const mine = ++newest.current; // an answer that was overtaken is dropped
        try {
            const answer = await ask();
            if (mine === newest.current) setState({ answer });
        } catch (error) {
            if (mine === newest.current) setState(({ answer }) => ({ answer, error }));
        }
    }, keys);
    useEffect(() => {
        void again();
        const timer = everyMs && setInterval(() => document.hidden || !navigator.onLine || void again(), everyMs);
        addEventListener("online", again);
        return () => {
            newest.current++;
            clearInterval(timer);
            removeEventListener("online", again);
        };
    }, [again, everyMs]);
    return { ...state, again };
}

/** What was answered, or why there is nothing yet; an answer that could not be renewed stays, and says so. */
export function Answered<Answer>(props: { asked: Asked<Answer>; children: (answer: Answer) => ComponentChildren }) {
    const { answer, error, again } = props.asked;
    if (answer === undefined) return error === undefined ? <Loading /> : <Failed error={error} retry={again} />;
    return (
        <>
            {error !== undefined && (
                <p class="note" role="status">
                    {t("stale")}{" "}
                    <button class="small" onClick={again}>
                        {t("retry")}
                    </button>
                </p>
            )}
            {props.children(answer)}
        </>
    );
}
