import { language } from "../settings.ts";

/** Numbers and times as the language of now writes them. */
export const number = (value: number, options?: Intl.NumberFormatOptions) =>
    new Intl.NumberFormat(language.value, options).format(value);

export const compact = (value: number) => number(value, { notation: "compact", maximumFractionDigits: 1 });
export const score = (value: number) => number(value, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
export const growth = (percent: number) =>
    number(percent / 100, { style: "percent", signDisplay: "exceptZero", maximumFractionDigits: 0 });

export const time = (value: string | number, options?: Intl.DateTimeFormatOptions) =>
    new Intl.DateTimeFormat(language.value, options ?? { dateStyle: "medium", timeStyle: "short" }).format(new Date(value));

const UNITS: [unit: Intl.RelativeTimeFormatUnit, seconds: number][] = [
    ["year", 31_536_000],
    ["month", 2_592_000],
    ["day", 86_400],
    ["hour", 3_600],
    ["minute", 60],
];

export function ago(value: string, now = Date.now()): string {
    const seconds = (Date.parse(value) - now) / 1000;
    const [unit, size] = UNITS.find(([, of]) => Math.abs(seconds) >= of) ?? ["second", 1];
    return new Intl.RelativeTimeFormat(language.value, { numeric: "auto" }).format(Math.round(seconds / size), unit);
}

/** 75 is 1:15. */
export const clock = (seconds: number) =>
    `${Math.floor(seconds / 60)}:${String(Math.round(seconds % 60)).padStart(2, "0")}`;

/** Seconds of an interval as Postgres writes it: `2 days 03:30:00`. */
export function intervalSeconds(interval: string): number {
    const days = Number(/(-?\d+) days?/.exec(interval)?.[1] ?? 0);
    const [, hours = 0, minutes = 0, seconds = 0] = (/(\d+):(\d+):(\d+)/.exec(interval) ?? []).map(Number);
    return days * 86_400 + hours * 3_600 + minutes * 60 + seconds;
}

/** Both ends of a range as Postgres writes it: `[0.3,0.7]`. */
export function rangeEnds(range: string): [number, number] | null {
    const [, from, to] = /^[[(]([\d.]+),([\d.]+)[\])]$/.exec(range) ?? [];
    return from && to ? [Number(from), Number(to)] : null;
}
