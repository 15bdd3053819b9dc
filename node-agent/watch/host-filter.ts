// Checks whether the host's own packet filter drops bridged frames, as it does on hosts with Docker. The sysctls are read periodically, because the
// kernel does not notify of their changes, and chains where they matter and after a message about rules.
import type { Logger } from "pino";
import { every, type Repetition } from "../../common/every.ts";
import { conditionText, type ReportedCondition } from "../../schema/agent/index.ts";
import { asCondition, type HostCondition } from "../findings/condition.ts";
import type { Reporter } from "../findings/reporter.ts";
import type { BridgeFilter, Link } from "../kernel/codec/link-codec.ts";
import type { NetworkDevices } from "../kernel/devices/network-devices.ts";
import {
  bridgeFilters,
  type DroppingChain,
  ForwardChains,
  readBridgeFilterSysctls,
} from "../kernel/filters/forward-chains.ts";
import { watchRuleset } from "../kernel/sockets/ruleset-watch.ts";

const everyMs = 2_000;
/** Chains are read again after this time all the same: messages can be lost. */
const anywayMs = 60_000;

export interface HostFilterDependencies {
  readonly devices: Pick<NetworkDevices, "bridges">;
  readonly reporter: Pick<Reporter, "note">;
  readonly log: Logger;
  nowMs(): number;
}

export interface FilterProblem {
  readonly facts: ReportedCondition;
  readonly filter: BridgeFilter;
  readonly says: string;
  /** The fix for an operator. */
  readonly fix: string;
}

export class HostFilter {
  found: readonly FilterProblem[] = [];
  private timer: Repetition | undefined;
  private chains: ForwardChains | undefined;
  private stopWatching = (): void => {};
  /** Counts changes of rules. */
  private changes = 0;
  private read: { readonly key: string; readonly atMs: number; readonly chains: readonly DroppingChain[] } | undefined;

  constructor(private readonly deps: HostFilterDependencies) {}

  /** What an operator should fix. */
  get conditions(): HostCondition[] {
    return this.found.map(({ facts }) => asCondition(facts));
  }

  /** Checks now, and periodically from now on. */
  start(): void {
    this.timer = every(everyMs, () => this.look(), { immediately: true, inStep: true });
  }

  close(): void {
    this.timer?.stop();
    this.stopWatching();
    this.chains?.close();
  }

  private async look(): Promise<void> {
    try {
      this.report(await this.find());
    } catch (error) {
      this.deps.log.debug({ err: error }, "the host's filter could not be read");
    }
  }

  private async find(): Promise<FilterProblem[]> {
    const sysctls = readBridgeFilterSysctls();
    const bridges = this.deps.devices.bridges();
    const isFiltered = sysctls?.length || bridges.some(({ filters = [] }) => filters.length > 0);
    if (!sysctls || !isFiltered || bridges.length === 0) return [];
    return findFilterProblems(sysctls, bridges, await this.droppingChains(bridges.map(({ name }) => name)));
  }

  /** As last read, unless rules or bridges have changed since. */
  private async droppingChains(bridges: readonly string[]): Promise<readonly DroppingChain[]> {
    this.chains ??= this.open();
    const key = [this.changes, ...bridges].join(" ");
    const atMs = this.deps.nowMs();
    if (this.read?.key !== key || atMs - this.read.atMs >= anywayMs)
      this.read = { key, atMs, chains: await this.chains.dropping(bridges) };
    return this.read.chains;
  }

  /** @throws Error where the kernel has no netfilter */
  private open(): ForwardChains {
    const chains = new ForwardChains();
    this.stopWatching = watchRuleset(() => {
      this.changes += 1;
    });
    return chains;
  }

  private report(found: readonly FilterProblem[]): void {
    const { reporter, log } = this.deps;
    for (const { filter, says, fix } of found) {
      if (this.found.some((known) => known.says === says)) continue;
      // With the former key: docs/stability.md says until when.
      log.warn({ fix, mend: fix }, says);
      reporter.note({ kind: "host-filter", subject: filter, detail: `${says}; ${fix}` });
    }
    if (found.length === 0 && this.found.length > 0) log.info("the host's filter lets our bridges pass");
    this.found = found;
  }
}

/** Pure. Names one chain of each filter: if several drop, the sysctl fixes all. */
export function findFilterProblems(
  sysctls: readonly BridgeFilter[],
  bridges: readonly Pick<Link, "name" | "filters">[],
  chains: readonly DroppingChain[],
): FilterProblem[] {
  return bridgeFilters.flatMap((filter) => {
    const chain = chains.find(({ filters, sparesOurs }) => filters.includes(filter) && !sparesOurs);
    if (!chain) return [];
    const lost = { filter, chain: chain.name, lost: lostTraffic[filter] };
    if (sysctls.includes(filter)) return [problemOf(filter, "host", lost)];
    return bridges
      .filter(({ filters = [] }) => filters.includes(filter))
      .map(({ name }) => problemOf(filter, "bridge", { ...lost, bridge: name }));
  });
}

function problemOf(filter: BridgeFilter, reason: string, values: ReportedCondition["values"]): FilterProblem {
  const facts = { kind: "host-filter", reason, values } as const;
  const { reason: says, fix = "" } = conditionText(facts);
  return { facts, filter, says, fix };
}

const lostTraffic: Readonly<Record<BridgeFilter, string>> = {
  iptables: "all IPv4",
  ip6tables: "all IPv6",
  arptables: "all ARP",
};
