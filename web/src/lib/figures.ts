/** Sizes and durations as an operator reads them. `language` is a BCP 47 tag. */

const BYTES = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"] as const;

export function bytes(count: number, language: string): string {
    const step = count < 1000 ? 0 : Math.min(Math.floor(Math.log10(count) / 3), BYTES.length - 1);
    return new Intl.NumberFormat(language, {
        style: "unit",
        unit: BYTES[step],
        unitDisplay: "short",
        maximumFractionDigits: step ? 1 : 0,
    }).format(count / 1000 ** step);
}

export function milliseconds(count: number, language: string): string {
    const inSeconds = count >= 1000;
    return new Intl.NumberFormat(language, {
        style: "unit",
        unit: inSeconds ? "second" : "millisecond",
        unitDisplay: "short",
        maximumFractionDigits: count < 10 || inSeconds ? 1 : 0,
    }).format(inSeconds ? count / 1000 : count);
}

export const number = (value: number, language: string) =>
    new Intl.NumberFormat(language, { maximumFractionDigits: 2 }).format(value);

/** What is measured in what follows from its name: unknown figures of a room are plain numbers. */
export function figure(name: string, value: number, language: string): string {
    if (name.endsWith("_bytes")) return bytes(value, language);
    if (name.endsWith("_ratio")) return `${number(value, language)} %`;
    if (name.endsWith("_time")) return milliseconds(value, language);
    return number(value, language);
}

export interface Point {
    at: string;
    figures: Record<string, number>;
}

export interface Series {
    name: string;
    values: (number | null)[];
    newest: number;
    least: number;
    most: number;
}

const FEWEST_STEPS_OF_A_GAP = 2.5;

/** A point without figures where time was skipped: a curve that is drawn across would tell what nobody measured. */
function withGaps(points: Point[]): Point[] {
    const times = points.map((point) => Date.parse(point.at));
    const step = Math.min(...times.slice(1).map((time, before) => time - times[before]!));
    return points.flatMap((point, index) => {
        const skipped = index > 0 && times[index]! - times[index - 1]! > step * FEWEST_STEPS_OF_A_GAP;
        return skipped ? [{ at: new Date(times[index - 1]! + step).toISOString(), figures: {} }, point] : [point];
    });
}

/** The points of all figures together, as one series for each name; what a point lacks is null. */
export function seriesOf(taken: Point[]): { at: number[]; series: Series[] } {
    const points = withGaps(taken);
    const at = points.map((point) => Date.parse(point.at) / 1000);
    const names = [...new Set(points.flatMap((point) => Object.keys(point.figures)))].sort();
    const series = names.map((name) => {
        const values = points.map((point) => point.figures[name] ?? null);
        const known = values.filter((value): value is number => value !== null);
        return { name, values, newest: known.at(-1)!, least: Math.min(...known), most: Math.max(...known) };
    });
    return { at, series };
}
