// The routes to the tunnel ends in use: which MTU the tunnels may have, and which hosts cannot be reached.
import type { Logger } from "pino";
import { type Rate, TokenBucket } from "../../common/token-bucket.ts";
import type { Vni, VtepAddress } from "../../schema/address/index.ts";
import type { ReportedCondition } from "../../schema/agent/index.ts";
import { asCondition, type HostCondition } from "../findings/condition.ts";
import { type Hop, type LocalVtep, mtuOn, type RoutedMtu } from "../kernel/devices/device-fit.ts";
import type { Route, Routes } from "../kernel/devices/routes.ts";
import type { RegisteredNetworks } from "../networks/registered-networks.ts";
import type { HeldAnswers } from "../tables/held.ts";

/** Changes come in groups. */
const gatherMs = 20;
/**
 * In questions for one route: such a question takes about 70 µs. So looks cost 0.1 % of a core at most, also while a routing daemon
 * changes routes all the time; the first look after a quiet time is at once.
 */
const budget: Rate = { perSecond: 14, burst: 2_000 };
/** Reading addresses and links, in questions. */
const lookCost = 5;
/** A default route that is gone concerns all other hosts. */
const maxConditions = 16;

export interface UnderlayRoutesDependencies {
  readonly routes: Pick<Routes, "canAsk" | "find">;
  readonly held: Pick<HeldAnswers, "vtepsOf">;
  readonly registered: Pick<RegisteredNetworks, "tunnelEnd" | "vnis">;
  /** The MTU on the ways to the hosts of a network changed. */
  onMtu(vni: Vni): void;
  readonly log: Logger;
  nowMs(): number;
}

export class UnderlayRoutes {
  conditions: readonly HostCondition[] = [];
  private found: ReadonlyMap<VtepAddress, Route> = new Map();
  private mtus = new Map<Vni, RoutedMtu>();
  private local: LocalVtep | undefined;
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> = Promise.resolve();
  private readonly spent: TokenBucket;

  constructor(private readonly deps: UnderlayRoutesDependencies) {
    this.spent = new TokenBucket(budget, deps.nowMs());
  }

  /** Undefined: no VM behind another host is in use, or none can be reached. */
  mtuOf(vni: Vni): RoutedMtu | undefined {
    const { tunnelEnd } = this.deps.registered;
    if (tunnelEnd?.vtep !== this.local?.vtep) this.lookSoon();
    return this.mtus.get(vni);
  }

  /** Something changed that may concern the routes. */
  readonly lookSoon = (): void => {
    this.timer ??= setTimeout(
      () => {
        this.timer = undefined;
        this.running = this.running.then(() => this.look());
      },
      Math.max(gatherMs, this.spent.waitMs(0, this.deps.nowMs())),
    ).unref();
  };

  /** Resolves when the look that has begun is done. */
  get idle(): Promise<void> {
    return this.running;
  }

  close(): void {
    clearTimeout(this.timer);
  }

  private async look(): Promise<void> {
    const { registered, held, routes, log, nowMs } = this.deps;
    const { tunnelEnd } = registered;
    this.local = tunnelEnd;
    const uses = new Map(registered.vnis().map((vni) => [vni, held.vtepsOf(vni)] as const));
    const vteps = new Set([...uses.values()].flat());
    this.spent.spend(lookCost + vteps.size, nowMs());
    try {
      const mayAsk = tunnelEnd && vteps.size > 0 && (await routes.canAsk(tunnelEnd));
      this.found = mayAsk ? await routes.find(vteps, tunnelEnd) : new Map();
    } catch (error) {
      log.debug({ err: error }, "the routes to other hosts could not be read");
      return;
    }
    this.report();
    this.follow(uses);
  }

  private report(): void {
    const now = [...this.found]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([vtep, route]) => unroutedTo(vtep, route));
    const next = now.slice(0, maxConditions).map((facts) => asCondition(facts));
    for (const { says } of next) if (!this.conditions.some((known) => known.says === says)) this.deps.log.warn(says);
    if (next.length === 0 && this.conditions.length > 0)
      this.deps.log.info("there are routes to all hosts in use again");
    this.conditions = next;
  }

  private follow(uses: ReadonlyMap<Vni, readonly VtepAddress[]>): void {
    const before = this.mtus;
    this.mtus = new Map();
    for (const [vni, vteps] of uses) {
      const mtu = mtuOn(vteps.flatMap((vtep) => hopsOf(this.found.get(vtep))));
      if (mtu) this.mtus.set(vni, mtu);
      const known = before.get(vni);
      const same =
        mtu?.largest === known?.largest &&
        mtu?.smallest.mtu === known?.smallest.mtu &&
        mtu?.smallest.device === known?.smallest.device;
      if (!same) this.deps.onMtu(vni);
    }
  }
}

const hopsOf = (route: Route | undefined): readonly Hop[] => (route?.kind === "found" ? route.hops : []);

function unroutedTo(vtep: VtepAddress, route: Route): ReportedCondition[] {
  return route.kind === "found" ? [] : [{ kind: "vtep-unrouted", reason: route.reason, values: { vtep } }];
}
