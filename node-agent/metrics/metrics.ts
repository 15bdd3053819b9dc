// What an agent counts, for Prometheus: read from its parts at each scrape, none of which knows of it.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { FinishedMiss } from "../misses/recent.ts";
import type { StatusSources } from "../status/sources.ts";

/** Milliseconds are what a miss takes; a second is the guest's own retry. */
const missBuckets = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 3];

export type MetricsSources = Pick<
  StatusSources,
  "resolver" | "announcer" | "reporter" | "networks" | "held" | "position" | "drops" | "aged" | "macFloods" | "nowMs"
> & {
  /** Hears of each miss at its end. */
  onMiss(listener: (miss: FinishedMiss) => void): void;
};

export function agentMetrics(sources: MetricsSources): Registry {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  /** A counter that somebody else counts. */
  const counter = (
    name: string,
    help: string,
    label: string,
    read: () => Iterable<readonly [string, number]>,
  ): void => {
    new Counter({
      name: `nearmiss_agent_${name}`,
      help,
      labelNames: [label],
      registers,
      collect() {
        this.reset();
        for (const [value, count] of read()) this.inc({ [label]: value }, count);
      },
    });
  };
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name: `nearmiss_agent_${name}`,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  };

  const { resolver, announcer, reporter, networks, held } = sources;
  counter("misses_total", "Misses of the kernel, by what became of them when they were read", "handled", () => {
    const { asked, joined, local, quiet, reasserted, overBudget } = resolver.counters;
    return Object.entries({ asked, joined, local, quiet, memory: reasserted, over_budget: overBudget });
  });
  counter("drops_total", "Messages that the kernel dropped because the agent read too slowly", "socket", () =>
    Object.entries(sources.drops()),
  );
  counter("operational_total", "What operators should know of, each occurrence counted", "kind", () => reporter.totals);
  counter(
    "repairs_total",
    "Entries brought back in line, by what made the agent look",
    "cause",
    () => networks.repairs,
  );
  if (announcer) {
    counter(
      "told_total",
      "Answers told to waiting guests: to one that was heard, or to all of a network",
      "how",
      () => [
        ["reply", announcer.counters.replied],
        ["announcement", announcer.counters.announced],
      ],
    );
  }
  counter("given_up_total", "Addresses given up", "why", () => [["idle", sources.aged()]]);
  counter("mac_floods_total", "Times that bridges learned more addresses from frames than is read", "source", () => [
    ["guest", sources.macFloods()],
  ]);
  gauge("connected", "1 with a session with the controller", () =>
    Number(sources.position().link.kind === "connected"),
  );
  gauge("heard_revision", "Where the controller's log is, as this host has heard", () => sources.position().asOf ?? 0);
  gauge("applied_revision", "Up to where the kernel holds every change", () => sources.position().applied ?? 0);
  gauge("networks", "Networks with a VM on this host", () => networks.size);
  gauge("held", "Addresses of remote VMs held", () => held.size);
  gauge("problems", "What an operator should mend on this host", () => networks.problems.length);
  gauge("questions_left", "Questions that this host may put at once now", () => resolver.budgets(sources.nowMs()).host);

  const seconds = new Histogram({
    name: "nearmiss_agent_miss_seconds",
    help: "From reading a miss to its entries in the kernel, or to the last guest told where one waited",
    labelNames: ["outcome"] as const,
    buckets: missBuckets,
    registers,
  });
  sources.onMiss(({ outcome, missedMs, answeredMs, programmedMs, announcedMs }) => {
    const endMs = announcedMs ?? programmedMs ?? answeredMs;
    if (endMs !== undefined) seconds.observe({ outcome: outcome.replace(" ", "_") }, (endMs - missedMs) / 1_000);
  });
  return registry;
}
