// Curves over the recent past, on a canvas. The text above them names them and gives their values.
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { isDark } from "../theme.ts";

export interface Curve {
  readonly label: string;
  /** Of the curve and of its swatch: `--curve-1` … `--curve-3`. */
  readonly colour: 1 | 2 | 3;
  readonly values: readonly (number | null)[];
  readonly dashed?: boolean;
}

export interface ChartProps {
  readonly title: string;
  /** Seconds since 1970, of the end of each step. */
  readonly times: readonly number[];
  readonly curves: readonly Curve[];
  readonly format: (value: number) => string;
  /** How far back they go, such as "15 minutes". */
  readonly span: string;
  /** Said where there is nothing to draw. */
  readonly empty: string;
}

const height = 170;

export function Chart({ title, times, curves, format, span, empty }: ChartProps) {
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>();
  const [pointed, setPointed] = useState<number | null>(null);
  const dark = isDark.value;
  const shape = curves.map(({ label }) => label).join();

  // A new drawing only where its look differs; data follows below.
  useEffect(() => {
    const element = holder.current;
    if (!element) return;
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const axis = {
      stroke: colour("--text-2"),
      font: `11px ${style.fontFamily}`,
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { show: false },
    };
    const made = new uPlot(
      {
        width: element.clientWidth,
        height,
        padding: [8, 18, 0, 0],
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
        legend: { show: false },
        hooks: { setCursor: [({ cursor }) => setPointed(cursor.idx ?? null)] },
        scales: { y: { range: (_self, _min, max) => [0, max > 0 ? max * 1.12 : 1] } },
        axes: [
          { ...axis, space: 80, size: 30, gap: 10, values: (_self, splits) => splits.map(clock) },
          { ...axis, size: 62, space: 36, values: (_self, splits) => splits.map(format) },
        ],
        series: [
          {},
          ...curves.map(({ label, colour: n, dashed }) => ({
            label,
            stroke: colour(`--curve-${n}`),
            width: 1.75,
            ...(dashed ? { dash: [4, 3] } : {}),
            ...(n === 1 ? { fill: colour("--curve-1-fill") } : {}),
            // A value between two gaps makes no line, and would not be visible.
            points: { show: true, size: 4, fill: colour(`--curve-${n}`), filter: alone },
          })),
        ],
      },
      dataOf(times, curves),
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
    };
  }, [dark, shape]);

  useEffect(() => plot.current?.setData(dataOf(times, curves)), [times, curves]);

  const isEmpty = curves.every(({ values }) => values.every((value) => value === null || value === 0));
  const at = pointed ?? times.length - 1;
  const said = curves.map(({ label, values }) => `${label} ${formatAt(values, at, format)}`).join(", ");
  return (
    <div class="chart">
      <ul class="chart-legend" aria-hidden="true">
        {curves.map(({ label, colour, dashed, values }) => (
          <li key={label}>
            <span class={`swatch swatch-${colour}${dashed ? " dashed" : ""}`} />
            {label} <strong class="number">{formatAt(values, at, format)}</strong>
          </li>
        ))}
        {pointed !== null && <li class="chart-when">{clock(times[at] ?? 0)}</li>}
      </ul>
      <div ref={holder} class="chart-plot" role="img" aria-label={`${title}, last ${span}; latest: ${said}`} />
      {isEmpty && (
        <p class="chart-empty">
          <span>{empty}</span>
        </p>
      )}
    </div>
  );
}

/** Indexes of values that have none beside them. */
function alone({ data }: uPlot, series: number): number[] {
  const values = data[series] ?? [];
  const isGap = (i: number) => values[i] === null || values[i] === undefined;
  return Array.from(values, (_, i) => i).filter((i) => !isGap(i) && isGap(i - 1) && isGap(i + 1));
}

function dataOf(times: readonly number[], curves: readonly Curve[]): uPlot.AlignedData {
  return [[...times], ...curves.map(({ values }) => [...values])];
}

function formatAt(values: readonly (number | null)[], at: number, format: (value: number) => string): string {
  const value = values[at];
  return value === null || value === undefined ? "–" : format(value);
}

function clock(seconds: number): string {
  return new Date(seconds * 1_000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}
