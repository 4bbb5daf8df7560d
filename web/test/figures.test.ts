import { expect, test } from "vitest";
import { bytes, figure, milliseconds, seriesOf } from "../src/lib/figures.ts";

test.each([
    [0, "0 byte"],
    [999, "999 byte"],
    [1000, "1 kB"],
    [18_962_099, "19 MB"],
    [2_340_000_000, "2.3 GB"],
    [5e15, "5,000 TB"],
])("%d bytes are %s", (count, said) => expect(bytes(count, "en")).toBe(said));

test.each([
    [0.24, "0.2 ms"],
    [143.7, "144 ms"],
    [61_500, "61.5 sec"],
])("%d milliseconds are %s", (count, said) => expect(milliseconds(count, "en")).toBe(said));

test.each([
    ["database_bytes", 1e6, "1 MB"],
    ["cache_hit_ratio", 99.8123, "99.81 %"],
    ["avg_response_time", 12, "12 ms"],
    ["dead_letters", 1234, "1,234"],
])("%s has its unit by its name", (name, value, said) => expect(figure(name, value, "en")).toBe(said));

test("a figure that is missing at a point is a gap of its own series", () => {
    const { at, series } = seriesOf([
        { at: "1970-01-01T00:01:00Z", figures: { b: 2 } },
        { at: "1970-01-01T00:02:00Z", figures: { a: 5, b: 1 } },
        { at: "1970-01-01T00:03:00Z", figures: { a: 4 } },
    ]);
    expect(at).toEqual([60, 120, 180]);
    expect(series).toEqual([
        { name: "a", values: [null, 5, 4], newest: 4, least: 4, most: 5 },
        { name: "b", values: [2, 1, null], newest: 1, least: 1, most: 2 },
    ]);
});

test("no points are no series", () => expect(seriesOf([])).toEqual({ at: [], series: [] }));

test("time that was skipped is a gap", () => {
    const minutes = [0, 1, 3, 6];
    const { at, series } = seriesOf(
        minutes.map((minute) => ({ at: new Date(minute * 60_000).toISOString(), figures: { a: minute } })),
    );
    expect(at).toEqual([0, 60, 180, 240, 360]);
    expect(series[0]?.values).toEqual([0, 1, 3, null, 6]);
});
