// Metrics of an agent for Prometheus. They are read from its parts at each scrape; no part depends on this file.
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { collectProcessMetrics } from "../../common/process-metrics.ts";
import type { FinishedMiss } from "../misses/recent.ts";
import type { StatusSources } from "../status/sources.ts";

/** A miss takes milliseconds; a second is the guest's own retry. */
const missBuckets = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 3];

export type MetricsSources = Pick<
  StatusSources,
  | "resolver"
  | "announcer"
  | "reporter"
  | "registered"
  | "networks"
  | "held"
  | "missThread"
  | "heat"
  | "replicas"
  | "replication"
  | "position"
  | "drops"
  | "aged"
  | "conditions"
  | "macFloods"
  | "broadcasts"
  | "groups"
  | "takeovers"
  | "nowMs"
> & {
  /** Called at the end of each miss. */
  onMiss(listener: (miss: FinishedMiss) => void): void;
};

export function agentMetrics(sources: MetricsSources): Registry {
  const registry = new Registry();
  const registers = [registry];
  collectProcessMetrics(registry);

  /** A counter whose values another part of the agent counts. */
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

  const { resolver, announcer, reporter, registered, networks, held } = sources;
  counter("misses_total", "Misses that were read, by outcome", "handled", () => {
    const { asked, joined, local, quiet, reasserted, here, unregistered, overBudget } = resolver.counters;
    const memory = { memory: reasserted, replica: here, unregistered };
    return Object.entries({ asked, joined, local, quiet, ...memory, over_budget: overBudget });
  });
  counter("fast_answers_total", "Misses answered by the thread for networks in memory", "thread", () => [
    ["miss", resolver.counters.byThread],
  ]);
  gauge("fast_path", "1 while a thread answers misses of networks in memory", () =>
    Number(sources.missThread?.state === "answering"),
  );
  counter(
    "made_up_questions_total",
    "Made-up misses that keep the way of questions to the controller warm",
    "run",
    () => [["done", sources.heat?.runs ?? 0]],
  );
  counter("drops_total", "Messages that the kernel dropped because the agent read too slowly", "socket", () =>
    Object.entries(sources.drops()),
  );
  counter("operational_total", "Findings for operators, each occurrence counted", "kind", () => reporter.totals);
  counter("repairs_total", "Repaired kernel entries, by the cause of the check", "cause", () => networks.repairs);
  if (announcer) {
    counter(
      "told_total",
      "Answers sent to waiting guests: by a reply to one guest, or by an announcement to all of a network",
      "how",
      () => [
        ["reply", announcer.counters.replied],
        ["announcement", announcer.counters.announced],
      ],
    );
  }
  counter("given_up_total", "Evicted addresses", "why", () => [["idle", sources.aged()]]);
  counter(
    "mac_floods_total",
    "MAC floods: a bridge learned more addresses from frames than the agent reads",
    "source",
    () => [["guest", sources.macFloods()]],
  );
  counter(
    "broadcasts_total",
    "Broadcasts and multicasts of guests in networks with broadcast replicate: copied to other hosts, or left on this one by the limit (storm) or " +
      "because DHCP and the like are never copied (filtered)",
    "handled",
    () => sources.broadcasts.counters,
  );
  gauge("broadcast_destinations", "Destinations of broadcasts, summed over networks", () => {
    return sources.broadcasts.destinations.broadcasts;
  });
  gauge("group_destinations", "Destinations of multicast groups by MAC address, summed over networks", () => {
    return sources.broadcasts.destinations.groups;
  });
  gauge("groups_joined", "Multicast groups with members among the guests of this host, summed over networks", () => {
    let sum = 0;
    for (const vni of registered.vnis()) sum += sources.groups.groupsOf(vni).length;
    return sum;
  });
  counter(
    "group_frames_total",
    "Reports of guests about multicast groups (reports), memberships among them that had no room (refused), and questions to guests (queries)",
    "kind",
    () => sources.groups.counters,
  );
  counter(
    "takeovers_total",
    "Announcements by guests of addresses that they may take: claimed from the controller, and granted or refused by it",
    "result",
    () => sources.takeovers.counters,
  );
  counter(
    "address_questions_total",
    "Questions to guests whether they have an address that they may take: to those that do not have it (others), and to the one that has it (owner)",
    "guest",
    () => sources.takeovers.questions,
  );
  gauge("connected", "1 while the agent has a session with the controller", () =>
    Number(sources.position().link.kind === "connected"),
  );
  gauge(
    "heard_revision",
    "Newest revision of the controller's log that this host has received",
    () => sources.position().asOf ?? 0,
  );
  gauge("applied_revision", "Revision up to which the kernel has every change", () => sources.position().applied ?? 0);
  gauge("networks", "Networks with a VM on this host", () => registered.size);
  gauge("held", "Cached addresses of remote VMs", () => held.size);
  gauge("replica_bytes", "Memory of whole networks (--max-replica-memory)", () => sources.replicas.bytes);
  gauge(
    "alone_seconds",
    "How long networks in memory are without a session, so that they answer as of then; 0 while there is one",
    () => sources.replication.aloneForMs / 1_000,
  );
  gauge("problems", "Conditions of this host that an operator should fix", () => sources.conditions.list.length);
  gauge("questions_left", "Queries that this host may send at once now", () => resolver.budgets(sources.nowMs()).host);

  const seconds = new Histogram({
    name: "nearmiss_agent_miss_seconds",
    help: "From reading a miss to its entries in the kernel, or to the answer to the last waiting guest",
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
