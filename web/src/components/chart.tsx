import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { isDark } from "../settings.ts";

type Colours = Record<"ember" | "glow" | "line" | "soft", string>;

/** A canvas cannot read var(): the browser resolves each token for it. */
function coloursOf(host: HTMLElement): Colours {
    const of = (token: string) => {
        host.style.color = `var(--${token})`;
        const { color } = getComputedStyle(host);
        host.style.color = "";
        return color;
    };
    return { ember: of("ember"), glow: of("glow"), line: of("line"), soft: of("soft") };
}

/** A picture of numbers; `label` says in words what it shows. `options` and `data` must not be made anew in each render. */
export function Chart(props: {
    data: uPlot.AlignedData;
    options: (colours: Colours) => Omit<uPlot.Options, "width" | "height">;
    height: number;
    label: string;
}) {
    const host = useRef<HTMLDivElement>(null);
    const { data, options, height } = props;
    const dark = isDark.value;
    useEffect(() => {
        const place = host.current!;
        const size = () => ({ width: Math.max(place.clientWidth, 40), height });
        const plot = new uPlot({ ...options(coloursOf(place)), ...size() }, data, place);
        const observer = new ResizeObserver(() => plot.width !== size().width && plot.setSize(size()));
        observer.observe(place);
        return () => {
            observer.disconnect();
            plot.destroy();
        };
    }, [data, options, height, dark]);
    return <div class="chart" ref={host} role="img" aria-label={props.label} />;
}

const QUIET = { cursor: { show: false }, legend: { show: false } };
const AXIS_HEIGHT = 28;
const axis = ({ line, soft }: Colours) => ({ stroke: soft, grid: { stroke: line, width: 1 }, ticks: { stroke: line } });

export const sparkline = ({ ember, glow }: Colours): Omit<uPlot.Options, "width" | "height"> => ({
    ...QUIET,
    padding: [4, 2, 2, 2],
    scales: { x: { time: false }, y: { range: (_, __, most) => [0, Math.max(most, 1)] } },
    axes: [{ show: false }, { show: false }],
    series: [{}, { stroke: ember, fill: glow, width: 2, points: { show: false } }],
});

export const hours = (colours: Colours): Omit<uPlot.Options, "width" | "height"> => ({
    ...QUIET,
    scales: { y: { range: (_, __, most) => [0, Math.max(most * 1.1, 1)] } },
    axes: [
        { ...axis(colours), size: AXIS_HEIGHT, values: (_, at) => at.map((s) => `${new Date(s * 1000).getHours()}`) },
        { ...axis(colours), size: 40 },
    ],
    series: [{}, { stroke: colours.ember, fill: colours.glow, width: 2, points: { show: false } }],
});

/** A line of scores, and between what each should lie. */
export const outlook = (colours: Colours): Omit<uPlot.Options, "width" | "height"> => ({
    ...QUIET,
    // Room beside the outermost points, which would be cut in half.
    scales: { x: { range: (_, first, last) => [first - (last - first) * 0.05, last + (last - first) * 0.05] }, y: { range: [0, 1] } },
    axes: [
        {
            ...axis(colours),
            size: AXIS_HEIGHT,
            splits: (plot) => plot.data[0] as number[],
            values: (_, at) => at.map((s) => `${new Date(s * 1000).getMonth() + 1}/${new Date(s * 1000).getDate()}`),
        },
        { ...axis(colours), size: 40 },
    ],
    series: [
        {},
        { stroke: colours.line, width: 1, points: { show: false } },
        { stroke: colours.line, width: 1, points: { show: false } },
        { stroke: colours.ember, width: 2, points: { show: true, size: 8, fill: colours.ember } }, // last: over the band
    ],
    bands: [{ series: [2, 1], fill: colours.glow }],
});
