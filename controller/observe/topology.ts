// Which tunnels are in use: hosts with forwarding entries towards others, derived from the interest of hosts.
import { inSlices } from "../../common/cooperative.ts";
import type { Network } from "../../schema/rest/index.ts";
import type { InterestIndex } from "../agents/interest.ts";
import type { Inventory } from "../inventory/inventory.ts";
import type { Steps } from "../inventory/steps.ts";

/** Towards each peer, the number of MACs of its VMs that the host has received. */
export type Towards = ReadonlyMap<string, number>;

/** By holder. Only hosts with VMs in the network can have entries there. */
export type Tunnels = ReadonlyMap<string, Towards>;

export function* tunnelsIn(state: Inventory, interest: InterestIndex, network: Network): Steps<Tunnels> {
  const tunnels = new Map<string, Map<string, number>>();
  for (const host of [...state.hostsIn(network.name).keys()]) {
    const towards = new Map<string, number>();
    for (const mac of interest.macsKnownTo(host, network.vni)) {
      yield;
      const peer = state.locate(network.name, { kind: "mac", vni: network.vni, mac })?.host;
      if (peer !== undefined && peer !== host) towards.set(peer, (towards.get(peer) ?? 0) + 1);
    }
    if (towards.size > 0) tunnels.set(host, towards);
  }
  return tunnels;
}

/** Maximum age of an answer: many concurrent readers cost as much as one. */
const maxAgeMs = 1_000;

/** Computed in slices, once for all requests within a second. */
export class TunnelSurvey {
  private readonly byNetwork = new Map<string, { readonly atMs: number; readonly tunnels: Promise<Tunnels> }>();

  constructor(
    private readonly deps: {
      readonly state: () => Inventory;
      readonly interest: InterestIndex;
      /** Monotonic. */
      readonly nowMs: () => number;
    },
  ) {}

  /** With the monotonic time as of which they are computed. */
  in(network: Network): { readonly atMs: number; readonly tunnels: Promise<Tunnels> } {
    const { state, interest, nowMs } = this.deps;
    const kept = this.byNetwork.get(network.uid);
    if (kept && nowMs() - kept.atMs < maxAgeMs) return kept;
    for (const [uid, { atMs }] of this.byNetwork) if (nowMs() - atMs >= maxAgeMs) this.byNetwork.delete(uid);
    const survey = { atMs: nowMs(), tunnels: inSlices(tunnelsIn(state(), interest, network)) };
    this.byNetwork.set(network.uid, survey);
    return survey;
  }
}
