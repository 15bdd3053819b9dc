// All hosts of a network must have VTEPs of one address family.
import { type Family, familyOf } from "../../schema/address/index.ts";
import type { Vm } from "../../schema/rest/index.ts";
import type { Draft } from "./draft.ts";
import { hostsOf } from "./hosts-of.ts";
import { type Look, Refusal } from "./refusal.ts";
import type { Steps } from "./steps.ts";
import { TwoLevelMap } from "./two-level-map.ts";

/**
 * A vxlan device has one underlay family. Hosts that the change set leaves alone agree already, so one of them speaks
 * for all: the cost is that of the change set, not of the network.
 */
export class UnderlayRules {
  /** By network, the hosts that VMs of the change set are on, each with one of these VMs. */
  private readonly coming = new TwoLevelMap<string, string, string>();
  /** By network and host, how many interfaces the change set takes away. */
  private readonly leaving = new TwoLevelMap<string, string, number>();
  private readonly networks = new Set<string>();

  constructor(private readonly draft: Draft) {}

  /** An edit of the draft: all of them, before `check`. */
  add(before: Vm | null, after: Vm | null): void {
    const { coming, leaving, networks } = this;
    for (const { network } of before?.interfaces ?? []) {
      for (const host of before ? hostsOf(before) : []) {
        leaving.set(network, host, (leaving.get(network, host) ?? 0) + 1);
      }
    }
    for (const { network } of after?.interfaces ?? []) {
      for (const host of after ? hostsOf(after) : []) coming.set(network, host, after?.name ?? "");
      networks.add(network);
    }
  }

  *check(look: Look): Steps<void> {
    const { draft, coming, leaving, networks } = this;
    for (const { before, after } of draft.hosts.values()) {
      if (!before || !after || familyOf(before.vtep) === familyOf(after.vtep)) continue;
      for (const network of draft.base.networksOn(after.name).keys()) networks.add(network);
    }
    for (const network of networks) {
      yield;
      const seen = new Map<Family, string>();
      for (const host of stayingHosts(draft, network, leaving)) {
        look("host", host, () => checkUnderlay(draft, network, host, seen));
      }
      for (const [host, vm] of coming.under(network)) {
        look("vm", vm, () => checkUnderlay(draft, network, host, seen));
      }
    }
  }
}

function checkUnderlay(draft: Draft, network: string, host: string, seen: Map<Family, string>): void {
  const vtep = draft.findHost(host)?.vtep;
  if (!vtep) return;
  const family = familyOf(vtep);
  const other = seen.get(family === 4 ? 6 : 4);
  if (other !== undefined) {
    const [v4, v6] = family === 4 ? [host, other] : [other, host];
    const detail = `network "${network}" would span host "${v4}" with an IPv4 VTEP and host "${v6}" with an IPv6 VTEP: use hosts of one family`;
    throw new Refusal("mixed-underlay", detail);
  }
  seen.set(family, host);
}

/** Hosts in the network by VMs that the change set leaves alone: all that it edits, and one of the others. */
function* stayingHosts(draft: Draft, network: string, leaving: TwoLevelMap<string, string, number>): Generator<string> {
  const interfaces = draft.base.hostsIn(network);
  const stays = (host: string) => (interfaces.get(host) ?? 0) > (leaving.get(network, host) ?? 0);
  for (const host of draft.hosts.keys()) if (stays(host)) yield host;
  for (const host of interfaces.keys()) {
    if (draft.hosts.has(host) || !stays(host)) continue;
    yield host;
    return;
  }
}
