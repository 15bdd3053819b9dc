import { useMemo } from "preact/hooks";
import type { RatesView } from "../../schema/rest/index.ts";
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
        <Empty title="Rates are not available for single networks">
          Log in with a token for all networks to see them.
        </Empty>
      </Panel>
    );
  }
  return <Load of={rates}>{(value) => <Curves rates={value} />}</Load>;
}

function Curves({ rates }: { readonly rates: RatesView }) {
  const times = useMemo(() => timesOf(rates), [rates]);
  const questions = useMemo(
    () => [
      { label: "Answered", colour: 1, values: rates.known } as const,
      { label: "Nothing registered", colour: 2, values: rates.unknown, dashed: true } as const,
    ],
    [rates],
  );
  const latency = useMemo(
    () => [
      { label: "Mean", colour: 1, values: rates.programmedMeanMs } as const,
      { label: "Slowest", colour: 2, values: rates.programmedSlowestMs, dashed: true } as const,
      { label: "Controller's share", colour: 3, values: rates.meanMs } as const,
    ],
    [rates],
  );
  return (
    <div class="columns">
      <Panel title="Misses asked per second">
        <Chart
          title="Misses asked per second"
          times={times}
          curves={questions}
          format={formatRate}
          empty="Nothing was asked in 15 minutes"
        />
      </Panel>
      <Panel title="Answer latency" aside={<span>from miss to kernel</span>}>
        <Chart
          title="Answer latency"
          times={times}
          curves={latency}
          format={formatMs}
          empty="Nothing was asked in 15 minutes"
        />
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
  const there = (values: readonly (number | null)[]) => values.filter((value) => value !== null);
  const last = rates.known.length - 1;
  const asked = sum(rates.known) + sum(rates.unknown);
  // Agents of an earlier version do not report how long their misses took.
  const isWhole = there(rates.programmedMeanMs).length > 0;
  const means = there(isWhole ? rates.programmedMeanMs : rates.meanMs);
  const slowest = there(isWhole ? rates.programmedSlowestMs : rates.slowestMs);
  return {
    perSecond: (rates.known[last] ?? 0) + (rates.unknown[last] ?? 0),
    unknownShare: asked === 0 ? undefined : sum(rates.unknown) / asked,
    isWhole,
    meanMs: means.length === 0 ? undefined : sum(means) / means.length,
    slowestMs: slowest.length === 0 ? undefined : Math.max(...slowest),
  };
}
