// Curves over the last quarter of an hour, on a canvas; beside them stands in words what they come to.
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { isDark } from "../theme.ts";

export interface Curve {
  readonly label: string;
  /** Name of a CSS variable. */
  readonly colour: "--curve-1" | "--curve-2";
  readonly values: readonly (number | null)[];
  readonly dashed?: boolean;
}

export interface ChartProps {
  readonly title: string;
  /** Seconds since 1970, of the end of each step. */
  readonly times: readonly number[];
  readonly curves: readonly Curve[];
  readonly format: (value: number) => string;
}

const height = 190;

export function Chart({ title, times, curves, format }: ChartProps) {
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>();
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
        cursor: { y: false, drag: { x: false, y: false } },
        legend: { live: true },
        scales: { y: { range: (_self, _min, max) => [0, max > 0 ? max * 1.15 : 1] } },
        axes: [
          { ...axis, space: 80, values: (_self, splits) => splits.map(clock) },
          { ...axis, size: 58, space: 40, values: (_self, splits) => splits.map(format) },
        ],
        series: [
          { label: "Time", value: (_self, value) => (value === null ? "–" : clock(value)) },
          ...curves.map(({ label, colour: name, dashed }) => ({
            label,
            stroke: colour(name),
            width: 1.75,
            ...(dashed ? { dash: [4, 3] } : { fill: colour(`${name}-fill`) }),
            points: { show: true, size: 3.5 },
            value: (_self: uPlot, value: number | null) => (value === null ? "–" : format(value)),
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

  const latest = curves.map(({ label, values }) => `${label} ${formatLast(values, format)}`).join(", ");
  return (
    <div class="chart">
      <div ref={holder} role="img" aria-label={`${title}, last 15 minutes; now: ${latest}`} />
    </div>
  );
}

function dataOf(times: readonly number[], curves: readonly Curve[]): uPlot.AlignedData {
  return [[...times], ...curves.map(({ values }) => [...values])];
}

function formatLast(values: readonly (number | null)[], format: (value: number) => string): string {
  const last = values.at(-1);
  return last === null || last === undefined ? "none" : format(last);
}

function clock(seconds: number): string {
  return new Date(seconds * 1_000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}
