// Which remote addresses a host gives up: those that no traffic has used for a while, and where there are too many of
// them, the least recently used. The kernel tells the use of a MAC (by its tunnel entry), never that of an IP: IPs age
// with their MAC. Pure; time is injected.
import type { MacAddress } from "../../schema/index.ts";

/** How many addresses of remote VMs a host holds: an IP is one, a MAC is one. Its own VMs' do not count. */
export interface Caps {
  readonly perNetwork: number;
  readonly perHost: number;
}

/**
 * A network: about 10,000 dual-stack VMs that one host talks to within the idle time, far beyond real use; the kernel's
 * FDB is a hash of 256 chains before Linux 6.16, so a packet would walk 40 entries. A host: four such networks, about
 * 50 MB in the agent and as much in the kernel.
 */
export const defaultCaps: Caps = { perNetwork: 32_768, perHost: 131_072 };

/** Ten minutes: longer than a guest's pauses, shorter than the life of most VMs. */
export const defaultIdleMs = 600_000;

/** MACs evicted at one time: a query during the eviction waits 20 ms at most. The rest is evicted at the next check. */
export const maxIdleAtOnce = 1_024;

/** From here on, ages are read more often, so that what goes first is really what was used least recently. */
const crowdedShare = 7 / 8;

export function isCrowded(size: number, cap: number): boolean {
  return size >= cap * crowdedShare;
}

/** Between two readings of a network's ages: an entry leaves at most a quarter of the idle time, or a minute, late. */
export function readAgesEveryMs(idleMs: number): number {
  return Math.min(60_000, idleMs / 4);
}

/** When each remote MAC of a network was last used, as far as is known, the longest ago first. */
export class LastUse {
  private atMs = new Map<MacAddress, number>();

  has(mac: MacAddress): boolean {
    return this.atMs.has(mac);
  }

  /** Now, or at its first entry: what has just been put is not idle. */
  touch(mac: MacAddress, nowMs: number): void {
    this.atMs.delete(mac);
    this.atMs.set(mac, nowMs);
  }

  forget(mac: MacAddress): void {
    this.atMs.delete(mac);
  }

  /** @param idleMs how long ago the kernel last used each MAC's entry; MACs that are not known here are left out */
  learn(idleMs: ReadonlyMap<MacAddress, number>, nowMs: number): void {
    this.merge([...idleMs].map(([mac, idle]) => [mac, nowMs - idle]));
  }

  /** What was known before a snapshot replaced all answers holds on: a reconnect is no use. */
  restore(earlier: LastUse): void {
    for (const mac of earlier.atMs.keys()) if (this.has(mac)) this.atMs.set(mac, Number.NEGATIVE_INFINITY);
    this.merge(earlier.atMs);
  }

  oldest(): { readonly mac: MacAddress; readonly atMs: number } | undefined {
    const [first] = this.atMs;
    return first && { mac: first[0], atMs: first[1] };
  }

  /** MACs that nothing has used for `idleMs`; of very many those that were used longest ago. */
  idle(nowMs: number, idleMs: number): MacAddress[] {
    const idle: MacAddress[] = [];
    for (const [mac, atMs] of this.atMs) {
      if (nowMs - atMs < idleMs || idle.length === maxIdleAtOnce) break;
      idle.push(mac);
    }
    return idle;
  }

  private merge(uses: Iterable<readonly [MacAddress, number]>): void {
    for (const [mac, atMs] of uses) {
      const known = this.atMs.get(mac);
      if (known !== undefined && known < atMs) this.atMs.set(mac, atMs);
    }
    this.atMs = new Map([...this.atMs].sort(([, a], [, b]) => a - b));
  }
}
