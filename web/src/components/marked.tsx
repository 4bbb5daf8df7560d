import { parts } from "../lib/highlight.ts";

/** A text with what was found of it marked. */
export const Marked = ({ text, highlights }: { text: string; highlights: [number, number][] }) => (
    <>{parts(text, highlights).map(({ text: part, isFound }) => (isFound ? <mark>{part}</mark> : part))}</>
);
