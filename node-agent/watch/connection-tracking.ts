// Connection tracking of the host, which any rule with `ct state` switches on: each tunnelled flow is an entry of its table then. It is the
// host's, and its rules may need it, so the agent takes no packet out of it.
import { readFileSync } from "node:fs";
import type { Logger } from "pino";
import { every, type Repetition } from "../../common/every.ts";
import { asCondition, type HostCondition } from "../findings/condition.ts";

const everyMs = 2_000;
/** A full table drops the first packet of every new connection. */
const fullShare = 0.95;

export interface Tracked {
  readonly count: number;
  readonly most: number;
}

/** Undefined: this kernel, or this network namespace, tracks nothing. */
export function readTracked(directory = "/proc/sys/net/netfilter"): Tracked | undefined {
  const read = (name: string): number => Number(readFileSync(`${directory}/nf_conntrack_${name}`, "utf8"));
  try {
    return { count: read("count"), most: read("max") };
  } catch {
    return undefined;
  }
}

/** Pure. */
export function findFullTracking(tracked: Tracked | undefined): HostCondition[] {
  if (!tracked || tracked.most === 0 || tracked.count < tracked.most * fullShare) return [];
  return [asCondition({ kind: "tracking-full", reason: "full", values: { most: String(tracked.most) } })];
}

export class ConnectionTracking {
  conditions: readonly HostCondition[] = [];
  private timer: Repetition | undefined;

  constructor(
    private readonly log: Logger,
    private readonly read: () => Tracked | undefined = readTracked,
  ) {}

  /** Looks now, and from now on: the kernel notifies of nothing. */
  start(): void {
    this.timer = every(everyMs, () => this.look(), { immediately: true });
  }

  close(): void {
    this.timer?.stop();
  }

  private look(): void {
    const found = findFullTracking(this.read());
    if (found.length > 0 && this.conditions.length === 0) this.log.warn(found[0]?.says);
    if (found.length === 0 && this.conditions.length > 0) this.log.info("connection tracking has room again");
    this.conditions = found;
  }
}
