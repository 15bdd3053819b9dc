// The controller's metrics, in a registry of their own.
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { collectProcessMetrics } from "../common/process-metrics.ts";
import { type ClaimRefusal, claimRefusals } from "../schema/agent/index.ts";
import { type OperationalKind, operationalKinds } from "../schema/events/index.ts";
import { type AnswerCounts, addCounts, noAnswers } from "./observe/answer-counts.ts";

/** Hosts with their own series per kind of event; further ones share one, as host "other". */
const maxHostLabels = 1_000;

const latencyBuckets = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5];

interface Observed {
  readonly revision: number;
  readonly sessions: number;
  readonly interest: number;
  readonly group_memberships: number;
  readonly made_up_questions: number;
  readonly streams: number;
  readonly imports: number;
  readonly log_events: number;
  readonly log_compacted: number;
  readonly connections_unproven: number;
  readonly connections_ending: number;
  readonly connections_proven: number;
  readonly connections_limit: number;
}

const gaugeHelp: Readonly<Record<keyof Observed, string>> = {
  revision: "Revision that readers see",
  sessions: "Agents connected",
  interest: "Bindings whose changes are pushed to hosts, summed over hosts",
  group_memberships: "Multicast groups with members on a host, summed over hosts and networks",
  made_up_questions: "Made-up questions so far that keep the code of answers warm",
  streams: "Consumers of the event stream connected",
  imports: "Imports that arrive, wait for their turn or are carried out",
  log_events: "Changes in the log, at the last check",
  log_compacted: "Revision up to which the log has been compacted, at the last check",
  connections_unproven: "Connections without an accepted request so far",
  connections_ending: "Refused connections that are ended within a second",
  connections_proven: "Connections of tokens and hosts",
  connections_limit: "Maximum of connections, from the limit of open files",
};

export class Metrics {
  readonly registry = new Registry();

  private readonly resolves = new Counter({
    name: "nearmiss_controller_resolves_total",
    help: "Questions of agents answered",
    labelNames: ["kind", "result"] as const,
    registers: [this.registry],
    collect: () => this.collectResolves(),
  });
  /** Counted here: prom-client takes longer for each frame than a look-up. */
  private answered = noAnswers;
  private readonly answerSeconds = new Histogram({
    name: "nearmiss_controller_answer_seconds",
    help: "From reading a resolve frame to handing its answers to the socket",
    buckets: latencyBuckets,
    registers: [this.registry],
  });
  private readonly pushedChanges = new Counter({
    name: "nearmiss_controller_pushed_changes_total",
    help: "Changed bindings pushed to hosts, each host counted",
    registers: [this.registry],
  });
  private readonly seeds = new Counter({
    name: "nearmiss_controller_seeds_total",
    help: "Bindings of askers sent ahead to the host of the requested address",
    registers: [this.registry],
  });
  private readonly releases = new Counter({
    name: "nearmiss_controller_released_total",
    help: "Bindings that hosts released: idle, or least recently used at a cap",
    registers: [this.registry],
  });
  private readonly refusals = new Counter({
    name: "nearmiss_controller_refused_requests_total",
    help: "Requests refused before routing: by credentials, origin, rate or cost",
    labelNames: ["reason"] as const,
    registers: [this.registry],
  });
  private readonly occurrences = new Counter({
    name: "nearmiss_controller_operational_total",
    help: 'Operational events of hosts, each occurrence counted; beyond 1,000 hosts as host "other"',
    labelNames: ["host", "kind"] as const,
    registers: [this.registry],
  });
  private readonly refusedReports = new Counter({
    name: "nearmiss_controller_reports_refused_total",
    help: "Reports of agents that were refused: about a network that they may not see, or over their limit",
    labelNames: ["reason"] as const,
    registers: [this.registry],
  });
  private readonly agentPauses = new Counter({
    name: "nearmiss_controller_agent_paused_seconds_total",
    help: "For how long hosts that sent more than their allowance were not read, summed over hosts",
    registers: [this.registry],
  });
  private readonly endedAgentSockets = new Counter({
    name: "nearmiss_controller_agent_sockets_ended_total",
    help: "WebSockets of hosts that were ended since the host had more at a time than an agent needs",
    registers: [this.registry],
  });
  private readonly leftOutKeys = new Counter({
    name: "nearmiss_controller_declared_keys_left_out_total",
    help: "Declared addresses that were rejected, unregistered and over the limit: their agents ask again",
    registers: [this.registry],
  });
  private readonly refusedConnections = new Counter({
    name: "nearmiss_controller_connections_refused_total",
    help: "Connections ended or refused: too many of one source, of strangers, of one identity, or of all",
    labelNames: ["reason"] as const,
    registers: [this.registry],
  });
  private readonly labelledHosts = new Set<string>();
  private readonly secondSessions = new Counter({
    name: "nearmiss_controller_second_sessions_total",
    help: "Agents that connected as a host that was connected: replaced the older (same key), or refused (another key)",
    labelNames: ["outcome"] as const,
    registers: [this.registry],
  });
  private readonly claims = new Counter({
    name: "nearmiss_controller_address_claims_total",
    help: "Addresses that guests announced and are allowed: moved to the guest, kept where it has it already, or refused",
    labelNames: ["result"] as const,
    registers: [this.registry],
  });
  private readonly commitSeconds = new Histogram({
    name: "nearmiss_controller_commit_seconds",
    help: "Duration of one transaction of the store, fsync included",
    buckets: latencyBuckets,
    registers: [this.registry],
  });
  private readonly httpSeconds = new Histogram({
    name: "nearmiss_controller_http_request_seconds",
    help: "Duration of HTTP requests",
    labelNames: ["method", "route", "status"] as const,
    buckets: latencyBuckets,
    registers: [this.registry],
  });

  /** Its series, of which there are as many as routes, methods and statuses: finding one by its labels takes longer. */
  private readonly httpSecondsBy = new Map<string, Histogram.Internal<"method" | "route" | "status">>();

  constructor() {
    collectProcessMetrics(this.registry);
    for (const reason of ["source", "strangers", "identity", "capacity"]) this.refusedConnections.inc({ reason }, 0);
    for (const reason of ["network", "rate"]) this.refusedReports.inc({ reason }, 0);
    for (const result of ["moved", "kept", ...claimRefusals]) this.claims.inc({ result }, 0);
    for (const outcome of ["replaced", "refused"]) this.secondSessions.inc({ outcome }, 0);
  }

  /** Gauges read their value when they are scraped. */
  observe(sources: Partial<Record<keyof Observed, () => number>>): void {
    for (const [name, read] of Object.entries(sources) as [keyof Observed, () => number][]) {
      new Gauge({
        name: `nearmiss_controller_${name}`,
        help: gaugeHelp[name],
        registers: [this.registry],
        collect() {
          this.set(read());
        },
      });
    }
  }

  /** Counts by kind, read when they are scraped. */
  observeConditions(
    read: () => readonly { readonly kind: string; readonly true: number; readonly unknown: number }[],
  ): void {
    new Gauge({
      name: "nearmiss_controller_conditions",
      help: "Present conditions by kind and status, of hosts with a session (true) and of others (unknown); docs/conditions.md has the kinds",
      labelNames: ["kind", "status"] as const,
      registers: [this.registry],
      collect() {
        this.reset();
        for (const { kind, ...counts } of read())
          for (const status of ["true", "unknown"] as const) this.set({ kind, status }, counts[status]);
      },
    });
  }

  /** @param count networks with `knowledge: auto`, by what was chosen for them */
  observeKnowledge(count: () => Readonly<Record<string, number>>): void {
    new Gauge({
      name: "nearmiss_controller_auto_networks",
      help: "Networks with knowledge auto, by what was chosen for them",
      labelNames: ["mode"],
      registers: [this.registry],
      collect() {
        for (const [mode, networks] of Object.entries(count())) this.set({ mode }, networks);
      },
    });
  }

  resolved(counts: AnswerCounts, seconds: number): void {
    this.answered = addCounts(this.answered, counts);
    this.answerSeconds.observe(seconds);
  }

  pushed(answers: number): void {
    this.pushedChanges.inc(answers);
  }

  /** By problem type. */
  refused(reason: string): void {
    this.refusals.inc({ reason });
  }

  released(count: number): void {
    this.releases.inc(count);
  }

  secondSession(outcome: "replaced" | "refused"): void {
    this.secondSessions.inc({ outcome });
  }

  claimed(result: "moved" | "kept" | ClaimRefusal): void {
    this.claims.inc({ result });
  }

  connectionRefused(reason: string): void {
    this.refusedConnections.inc({ reason });
  }

  agentPaused(seconds: number): void {
    this.agentPauses.inc(seconds);
  }

  agentSocketEnded(): void {
    this.endedAgentSockets.inc();
  }

  keysLeftOut(count: number): void {
    this.leftOutKeys.inc(count);
  }

  seeded(answers: number): void {
    this.seeds.inc(answers);
  }

  operational(host: string, kind: OperationalKind, count: number): void {
    if (this.labelledHosts.size < maxHostLabels) this.labelledHosts.add(host);
    this.occurrences.inc({ host: this.labelledHosts.has(host) ? host : "other", kind }, count);
  }

  operationalRefused(reason: "network" | "rate"): void {
    this.refusedReports.inc({ reason });
  }

  /** The host is deleted: its series end. */
  forgetHost(host: string): void {
    if (!this.labelledHosts.delete(host)) return;
    for (const kind of operationalKinds) this.occurrences.remove({ host, kind });
  }

  private collectResolves(): void {
    const { answered, resolves } = this;
    resolves.reset();
    resolves.inc({ kind: "ip", result: "known" }, answered.knownIps);
    resolves.inc({ kind: "ip", result: "unknown" }, answered.unknownIps);
    resolves.inc({ kind: "mac", result: "known" }, answered.knownMacs);
    resolves.inc({ kind: "mac", result: "unknown" }, answered.unknownMacs);
  }

  committed(seconds: number): void {
    this.commitSeconds.observe(seconds);
  }

  httpAnswered(method: string, route: string, status: number, seconds: number): void {
    const key = `${method} ${status} ${route}`;
    const series = this.httpSecondsBy.get(key) ?? this.httpSeconds.labels({ method, route, status });
    this.httpSecondsBy.set(key, series);
    series.observe(seconds);
  }
}
