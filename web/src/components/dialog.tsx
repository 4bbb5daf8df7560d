import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../messages.ts";

/** The dialog of the browser: it holds the focus, and Escape closes it. */
export function Dialog(props: { title: string; onClose: () => void; children: ComponentChildren; class?: string }) {
    const element = useRef<HTMLDialogElement>(null);
    useEffect(() => {
        const before = document.activeElement as HTMLElement | null;
        element.current?.showModal();
        return () => before?.focus();
    }, []);
    return (
        <dialog ref={element} class={props.class} aria-label={props.title} onClose={props.onClose}>
            <div class="dialog-head">
                <h2>{props.title}</h2>
                <button type="button" onClick={() => element.current?.close()}>
                    {t("close")}
                </button>
            </div>
            {props.children}
        </dialog>
    );
}
