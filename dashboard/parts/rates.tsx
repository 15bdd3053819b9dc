import { useMemo } from "preact/hooks";
import { rateRanges } from "../../schema/plain/index.ts";
import type { RatesView } from "../../schema/rest/index.ts";
import { withQuery } from "../api.ts";
import { formatMs, formatRate, formatTime } from "../format.ts";
import { countedSince, emptyText, spanOf, timesOf } from "../live/rate-times.ts";
import { useResource } from "../live/resource.ts";
import { seesAll } from "../session.ts";
import { Chart } from "./chart.tsx";
import { chosenRange, RangeSwitch } from "./range-switch.tsx";
import { Empty, Load, Panel } from "./states.tsx";

/** Curves of one host, or of all together, which go back as far as the user chooses. */
export function Rates({ host }: { readonly host?: string }) {
  const mayLook = seesAll.value;
  const range = host === undefined ? chosenRange() : rateRanges[0];
  const path = mayLook ? withQuery("/v1/rates", { host, range }) : undefined;
  const everyMs = range !== rateRanges[0] ? 30_000 : host === undefined ? 5_000 : 15_000;
  const [rates] = useResource<RatesView>(path, { everyMs });
  if (!mayLook) {
    return (
      <Panel title="Questions and answers">
        <Empty title="Rates are not available for single networks">
          Log in with a token for all networks to see them.
        </Empty>
      </Panel>
    );
  }
  const since = rates.kind === "ready" ? countedSince(rates.value) : undefined;
  return (
    <>
      {(host === undefined || since) && (
        <div class="range-row">
          {since && (
            <p class="range-note">No figures before {formatTime(since.toISOString())}, when the controller started</p>
          )}
          {host === undefined && <RangeSwitch />}
        </div>
      )}
      <Load of={rates}>{(value) => <Curves rates={value} />}</Load>
    </>
  );
}

function Curves({ rates }: { readonly rates: RatesView }) {
  const times = useMemo(() => timesOf(rates), [rates]);
  // Of what is shown: another range may be loading.
  const span = spanOf(rates);
  const empty = emptyText(rates);
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
          span={span}
          empty={empty}
        />
      </Panel>
      <Panel title="Answer latency" aside={<span>from miss to kernel</span>}>
        <Chart title="Answer latency" times={times} curves={latency} format={formatMs} span={span} empty={empty} />
      </Panel>
    </div>
  );
}

/** The newest whole step, and how the quarter of an hour went. */
export function summaryOf(rates: RatesView) {
  const sum = (values: readonly (number | null)[]) => values.reduce<number>((total, value) => total + (value ?? 0), 0);
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
