import { useMemo } from "preact/hooks";
import type { RatesView } from "../../schema/observe.ts";
import { withQuery } from "../api.ts";
import { formatMs, formatRate } from "../format.ts";
import { useResource } from "../live/resource.ts";
import { seesAll } from "../session.ts";
import { Chart } from "./chart.tsx";
import { Empty, Load, Panel } from "./states.tsx";

/** Curves of one host, or of all together. */
export function Rates({ host }: { readonly host?: string }) {
  const mayLook = seesAll.value;
  const path = mayLook ? withQuery("/v1/rates", { host }) : undefined;
  const [rates] = useResource<RatesView>(path, { everyMs: host === undefined ? 5_000 : 15_000 });
  if (!mayLook) {
    return (
      <Panel title="Questions and answers">
        <Empty title="Rates belong to no single network">They are shown with a token for all networks.</Empty>
      </Panel>
    );
  }
  return <Load of={rates}>{(value) => <Curves rates={value} />}</Load>;
}

function Curves({ rates }: { readonly rates: RatesView }) {
  const times = useMemo(() => timesOf(rates), [rates]);
  const questions = useMemo(
    () => [
      { label: "Answered", colour: "--curve-1", values: rates.known } as const,
      { label: "Nothing registered", colour: "--curve-2", values: rates.unknown, dashed: true } as const,
    ],
    [rates],
  );
  const latency = useMemo(
    () => [
      { label: "Mean", colour: "--curve-1", values: rates.meanMs } as const,
      { label: "Slowest", colour: "--curve-2", values: rates.slowestMs, dashed: true } as const,
    ],
    [rates],
  );
  return (
    <div class="columns">
      <Panel title="Misses asked per second" aside={<span>by what came of them</span>}>
        <Chart title="Misses asked per second" times={times} curves={questions} format={formatRate} />
      </Panel>
      <Panel title="Answer latency" aside={<span>in the controller, per question frame</span>}>
        <Chart title="Answer latency" times={times} curves={latency} format={formatMs} />
      </Panel>
    </div>
  );
}

function timesOf({ until, stepMs, known }: RatesView): number[] {
  const end = Date.parse(until);
  return known.map((_, i) => (end - (known.length - 1 - i) * stepMs) / 1_000);
}

/** The newest whole step, and how the quarter of an hour went. */
export function summaryOf(rates: RatesView) {
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const last = rates.known.length - 1;
  const asked = sum(rates.known) + sum(rates.unknown);
  const means = rates.meanMs.filter((value) => value !== null);
  const slowest = rates.slowestMs.filter((value) => value !== null);
  return {
    perSecond: (rates.known[last] ?? 0) + (rates.unknown[last] ?? 0),
    unknownShare: asked === 0 ? undefined : sum(rates.unknown) / asked,
    meanMs: means.length === 0 ? undefined : sum(means) / means.length,
    slowestMs: slowest.length === 0 ? undefined : Math.max(...slowest),
  };
}
