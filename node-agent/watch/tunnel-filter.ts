// Whether the host's own packet filter lets tunnelled packets pass: looked at when its rules change.
import type { Logger } from "pino";
import { every, type Repetition } from "../../common/every.ts";
import { type Rate, TokenBucket } from "../../common/token-bucket.ts";
import { familyOf, ipToBytes, type VtepAddress } from "../../schema/address/index.ts";
import type { ReportedCondition } from "../../schema/agent/index.ts";
import { asCondition, type HostCondition } from "../findings/condition.ts";
import type { Underlay } from "../kernel/devices/device-fit.ts";
import { type DroppingHook, PacketFilter } from "../kernel/filters/packet-filter.ts";
import type { TunnelPacket } from "../kernel/filters/rule-machine.ts";
import { watchRuleset } from "../kernel/sockets/ruleset-watch.ts";
import type { RegisteredNetworks } from "../networks/registered-networks.ts";

/** Of the time of the process, in ms: 0.1 % of a core, also while rules change all the time; a burst of 200 ms. */
const budget: Rate = { perSecond: 1, burst: 200 };
/** Hosts whose packets are followed: rules mostly name none, or a range. */
const maxSources = 8;
const gatherMs = 20;
/** How soon another tunnel end is noticed, and a device that has taken over its address. */
const followMs = 1_000;
const anywayMs = 60_000;

export interface TunnelFilterDependencies {
  readonly registered: Pick<RegisteredNetworks, "tunnelEnd" | "vnis">;
  /** The link with an address of this host. */
  readonly findUnderlay: (vtep: VtepAddress) => Promise<Underlay | undefined>;
  /** The tunnel ends of other hosts that are in use. */
  readonly vteps: () => readonly VtepAddress[];
  readonly log: Logger;
  nowMs(): number;
}

export class TunnelFilter {
  conditions: readonly HostCondition[] = [];
  private filter: PacketFilter | undefined;
  private follow: Repetition | undefined;
  /** Of the last look. */
  private end: RegisteredNetworks["tunnelEnd"];
  private lookedMs = 0;
  private stopWatching = (): void => {};
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> = Promise.resolve();
  private readonly spent: TokenBucket;

  constructor(private readonly deps: TunnelFilterDependencies) {
    this.spent = new TokenBucket(budget, deps.nowMs());
  }

  /** Opens sockets in the calling thread's network namespace. A kernel without netfilter drops nothing. */
  start(): void {
    try {
      this.filter = new PacketFilter();
      this.stopWatching = watchRuleset(this.lookSoon);
    } catch (error) {
      this.deps.log.debug({ err: error }, "the kernel has no nf_tables");
    }
    this.follow = every(followMs, () => {
      const { tunnelEnd } = this.deps.registered;
      const isDue = this.deps.nowMs() - this.lookedMs >= anywayMs;
      if (tunnelEnd?.vtep !== this.end?.vtep || tunnelEnd?.vtepPort !== this.end?.vtepPort || isDue) this.lookSoon();
    });
    this.lookSoon();
  }

  /** Rules, the tunnel end or the hosts in use have changed. */
  readonly lookSoon = (): void => {
    if (!this.filter) return;
    this.timer ??= setTimeout(
      () => {
        this.timer = undefined;
        this.running = this.running.then(() => this.look());
      },
      Math.max(gatherMs, this.spent.waitMs(0, this.deps.nowMs())),
    ).unref();
  };

  close(): void {
    clearTimeout(this.timer);
    this.follow?.stop();
    this.stopWatching();
    this.filter?.close();
  }

  private async look(): Promise<void> {
    const { registered, log, nowMs } = this.deps;
    const { tunnelEnd } = registered;
    this.end = tunnelEnd;
    this.lookedMs = nowMs();
    if (!this.filter || !tunnelEnd || registered.vnis().length === 0) {
      this.conditions = [];
      return;
    }
    const before = process.cpuUsage();
    try {
      const underlay = await this.deps.findUnderlay(tunnelEnd.vtep);
      if (underlay) this.report(await this.filter.dropping(this.packets(tunnelEnd, underlay)));
    } catch (error) {
      log.debug({ err: error }, "the host's packet filter could not be read");
    } finally {
      // Also what ran in between, such as answers to misses: so it is looked at rather too rarely while the agent is busy.
      const { user, system } = process.cpuUsage(before);
      this.spent.spend((user + system) / 1_000, nowMs());
    }
  }

  private packets(
    { vtep, vtepPort: port }: { vtep: VtepAddress; vtepPort: number },
    underlay: Underlay,
  ): TunnelPacket[] {
    const { name: device, ifindex } = underlay;
    const family = familyOf(vtep);
    const here = ipToBytes(vtep);
    const others = this.deps.vteps().slice(0, maxSources).map(ipToBytes);
    const common = { device, ifindex, family, port };
    return (others.length > 0 ? others : [undefined]).flatMap((there): TunnelPacket[] => [
      { ...common, direction: "in", source: there, destination: here },
      { ...common, direction: "out", source: here, destination: there },
    ]);
  }

  private report(found: readonly DroppingHook[]): void {
    const { log } = this.deps;
    const facts = new Map(found.map((each) => [`${each.chain} ${each.packet.direction}`, factsOf(each)]));
    const next = [...facts.values()].map((each) => asCondition(each));
    for (const { says } of next) if (!this.conditions.some((known) => known.says === says)) log.warn(says);
    if (next.length === 0 && this.conditions.length > 0) log.info("the host's filter lets tunnelled packets pass");
    this.conditions = next;
  }
}

const factsOf = ({ chain, packet: { direction, port } }: DroppingHook): ReportedCondition => ({
  kind: "tunnel-filter",
  reason: direction,
  values: { chain, port: String(port) },
});
