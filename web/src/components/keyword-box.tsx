import { useEffect, useId, useRef } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { rpc } from "../client.ts";
import * as format from "../lib/format.ts";
import { t } from "../messages.ts";
import { Marked } from "./marked.tsx";

interface Suggestion {
    keyword: string;
    videos: number;
    highlights: [number, number][];
}

const TYPED_MS = 120;

/**
 * A field that suggests keywords. Not a datalist: browsers filter that by what was typed, and ㅁㅈ is no part of 맛집.
 * Made as the ARIA practices describe a combobox with a list.
 */
export function KeywordBox(props: {
    label: string;
    value: string;
    placeholder?: string;
    /** The heading above says it already; a screen reader still needs it here. */
    isTitled?: boolean;
    onInput: (typed: string) => void;
    /** Enter, or a suggestion that was chosen. */
    onChoose: (keyword: string) => void;
}) {
    const id = useId();
    const list = useSignal<Suggestion[]>([]);
    const active = useSignal(-1);
    const isOpen = useSignal(false);
    const asked = useRef(0);
    const timer = useRef<ReturnType<typeof setTimeout>>();
    useEffect(() => () => clearTimeout(timer.current), []);

    function close() {
        clearTimeout(timer.current);
        asked.current++; // an answer that is still on its way is for nobody
        isOpen.value = false;
        active.value = -1;
    }

    function ask(typed: string) {
        clearTimeout(timer.current);
        const number = ++asked.current;
        if (!typed.trim()) return close();
        timer.current = setTimeout(async () => {
            try {
                const found = await rpc<Suggestion[]>("suggest_keywords", { prefix: typed, limit: 8 });
                if (number !== asked.current) return;
                list.value = found;
                active.value = -1;
                isOpen.value = found.length > 0;
            } catch {
                if (number === asked.current) close(); // one can search without suggestions
            }
        }, TYPED_MS);
    }

    function choose(keyword: string) {
        close();
        props.onChoose(keyword);
    }

    function onKeyDown(event: KeyboardEvent) {
        if (event.isComposing) return; // Enter ends a syllable first
        if (event.key === "Escape" && isOpen.value) {
            event.preventDefault();
            close();
        } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && isOpen.value) {
            event.preventDefault();
            const count = list.value.length + 1; // one place more: what was typed itself
            active.value = ((active.value + 1 + (event.key === "ArrowDown" ? 1 : -1) + count) % count) - 1;
        } else if (event.key === "Enter") {
            event.preventDefault();
            choose(list.value[isOpen.value ? active.value : -1]?.keyword ?? props.value);
        }
    }

    return (
        <div class="keyword-box">
            <label for={id} class={props.isTitled ? "unseen" : ""}>
                {props.label}
            </label>
            <input
                id={id}
                type="text"
                role="combobox"
                autocomplete="off"
                enterkeyhint="search"
                maxLength={200}
                aria-autocomplete="list"
                aria-expanded={isOpen.value}
                aria-controls={`${id}-list`}
                aria-activedescendant={active.value >= 0 ? `${id}-${active.value}` : undefined}
                placeholder={props.placeholder}
                value={props.value}
                onInput={(event) => {
                    props.onInput(event.currentTarget.value);
                    ask(event.currentTarget.value);
                }}
                onKeyDown={onKeyDown}
                onBlur={close}
            />
            <ul id={`${id}-list`} role="listbox" aria-label={t("suggestions")} hidden={!isOpen.value}>
                {list.value.map(({ keyword, videos, highlights }, place) => (
                    <li
                        key={keyword}
                        id={`${id}-${place}`}
                        role="option"
                        aria-selected={place === active.value}
                        onMouseDown={(event) => event.preventDefault()} // the field keeps the focus
                        onClick={() => choose(keyword)}
                    >
                        <span>
                            <Marked text={keyword} highlights={highlights} />
                        </span>
                        <span class="soft small">{t("suggestions.videos", { videos: format.number(videos) })}</span>
                    </li>
                ))}
            </ul>
        </div>
    );
}
