// Decides which remote addresses a host evicts: idle ones, and at the limits the least recently used. The kernel has the last
// use of a MAC (in its tunnel entry), but not of an IP: IPs age with their MAC. Pure; time is injected.
import type { MacAddress } from "../../schema/address/index.ts";

/** Limits of addresses of remote VMs on a host: an IP is one, a MAC is one. Those of its own VMs do not count. */
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

/** MACs evicted at one time: a query during the eviction waits 20 ms at most. The rest is evicted after it. */
export const maxIdleAtOnce = 1_024;

/** From this level on, ages are read more often, so that the evicted addresses are really the least recently used. */
const crowdedShare = 7 / 8;

/** Of the limits, for what no guest has asked for: guests find room without an eviction. */
export const spareShare = 3 / 4;

export function isCrowded(size: number, cap: number): boolean {
  return size >= cap * crowdedShare;
}

/**
 * Interval of reading a network's ages, by which an entry is evicted late, or half as much again. So a host has at most a tenth more
 * entries than addresses that were used within the idle time (ADR 0200).
 */
export function readAgesEveryMs(idleMs: number): number {
  return Math.min(60_000, idleMs / 16);
}

/** Time of last use of each remote MAC of a network, as far as it is known, least recently used first. */
export class LastUse {
  private atMs = new Map<MacAddress, number>();

  has(mac: MacAddress): boolean {
    return this.atMs.has(mac);
  }

  /** Now, or at its first entry: a new entry is not idle. */
  touch(mac: MacAddress, nowMs: number): void {
    this.atMs.delete(mac);
    this.atMs.set(mac, nowMs);
  }

  forget(mac: MacAddress): void {
    this.atMs.delete(mac);
  }

  /** @param idleMs how long ago the kernel last used each MAC's entry; unknown MACs are ignored */
  learn(idleMs: ReadonlyMap<MacAddress, number>, nowMs: number): void {
    this.merge([...idleMs].map(([mac, idle]) => [mac, nowMs - idle]));
  }

  /** Ages survive a snapshot that replaces all answers: a reconnect is not a use. */
  restore(earlier: LastUse): void {
    for (const mac of earlier.atMs.keys()) if (this.has(mac)) this.atMs.set(mac, Number.NEGATIVE_INFINITY);
    this.merge(earlier.atMs);
  }

  oldest(): { readonly mac: MacAddress; readonly atMs: number } | undefined {
    const [first] = this.atMs;
    return first && { mac: first[0], atMs: first[1] };
  }

  /** MACs that are idle for `idleMs`; if there are too many, the least recently used. */
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
