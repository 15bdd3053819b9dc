// Checks whether the host's own packet filter drops bridged frames, as it does on hosts with Docker: periodically, because the
// kernel does not notify of changes to a sysctl.
import type { Logger } from "pino";
import { every, type Repetition } from "../../common/every.ts";
import type { Reporter } from "../findings/reporter.ts";
import type { BridgeFilter, Link } from "../kernel/codec/link-codec.ts";
import type { NetworkDevices } from "../kernel/devices/network-devices.ts";
import {
  bridgeFilters,
  type DroppingChain,
  ForwardChains,
  readBridgeFilterSysctls,
} from "../kernel/filters/forward-chains.ts";

const everyMs = 2_000;

export interface HostFilterDependencies {
  readonly devices: Pick<NetworkDevices, "bridges">;
  readonly reporter: Pick<Reporter, "note">;
  readonly log: Logger;
}

export interface FilterProblem {
  readonly filter: BridgeFilter;
  readonly says: string;
  /** The fix for an operator. */
  readonly fix: string;
}

export class HostFilter {
  found: readonly FilterProblem[] = [];
  private timer: Repetition | undefined;
  private chains: ForwardChains | undefined;

  constructor(private readonly deps: HostFilterDependencies) {}

  /** What an operator should fix. */
  get problems(): string[] {
    return this.found.map(({ says, fix }) => `${says}; ${fix}`);
  }

  /** Checks now, and periodically from now on. */
  start(): void {
    this.timer = every(everyMs, () => this.look(), { immediately: true });
  }

  close(): void {
    this.timer?.stop();
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
    if (!sysctls) return [];
    const bridges = await this.deps.devices.bridges();
    if (bridges.length === 0 || (sysctls.length === 0 && bridges.every(({ filters = [] }) => filters.length === 0)))
      return [];
    this.chains ??= new ForwardChains();
    return findFilterProblems(sysctls, bridges, await this.chains.dropping(bridges.map(({ name }) => name)));
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
    const lost = `chain ${chain.name} drops what no rule accepts: between guests here ${lostTraffic[filter]} is lost`;
    const sysctl = `net.bridge.bridge-nf-call-${filter}`;
    if (sysctls.includes(filter)) {
      const says = `bridged frames go through the host's ${filter} (${sysctl} is 1), and ${lost}`;
      const fix = `sysctl -w ${sysctl}=0, or let the bridges pass (${filter} -I FORWARD -i nmb+ -o nmb+ -j ACCEPT)`;
      return [{ filter, says, fix }];
    }
    return bridges
      .filter(({ filters = [] }) => filters.includes(filter))
      .map(({ name }) => ({
        filter,
        says: `the bridge ${name} sends its frames through the host's ${filter}, and ${lost}`,
        fix: `ip link set ${name} type bridge nf_call_${filter} 0`,
      }));
  });
}

const lostTraffic: Readonly<Record<BridgeFilter, string>> = {
  iptables: "all IPv4",
  ip6tables: "all IPv6",
  arptables: "all ARP",
};
