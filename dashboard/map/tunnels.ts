// Tunnels as the map shows them: both directions between two hosts are one line. Pure.
import type { TopologyView } from "../../schema/rest/index.ts";

export interface Tunnel {
  /** Indexes into the hosts, the smaller first. */
  readonly a: number;
  readonly b: number;
  /** MACs behind b that a forwards to, and the other way. */
  readonly aToB: number;
  readonly bToA: number;
}

export function tunnelsOf({ tunnels }: Pick<TopologyView, "tunnels">): Tunnel[] {
  const found = new Map<string, Tunnel>();
  for (const [from = 0, to = 0, macs = 0] of tunnels) {
    const [a, b] = from < to ? [from, to] : [to, from];
    const before = found.get(`${a} ${b}`) ?? { a, b, aToB: 0, bToA: 0 };
    found.set(`${a} ${b}`, from === a ? { ...before, aToB: macs } : { ...before, bToA: macs });
  }
  return [...found.values()];
}

export interface Peer {
  readonly index: number;
  /** MACs behind the peer that this host forwards to. */
  readonly out: number;
  /** MACs of this host that the peer forwards to. */
  readonly back: number;
}

/** Of one host, the busiest first. */
export function peersOf(tunnels: readonly Tunnel[], host: number): Peer[] {
  const peers = tunnels.flatMap(({ a, b, aToB, bToA }): Peer[] => {
    if (a === host) return [{ index: b, out: aToB, back: bToA }];
    return b === host ? [{ index: a, out: bToA, back: aToB }] : [];
  });
  return peers.sort((one, other) => other.out + other.back - (one.out + one.back));
}

/** How many each host has, by its index. */
export function degrees(tunnels: readonly Tunnel[], hosts: number): number[] {
  const counts = Array.from({ length: hosts }, () => 0);
  for (const { a, b } of tunnels) {
    counts[a] = (counts[a] ?? 0) + 1;
    counts[b] = (counts[b] ?? 0) + 1;
  }
  return counts;
}
