// All hosts of a network must have VTEPs of one address family.
import { type Family, familyOf } from "../../schema/address/index.ts";
import type { Vm } from "../../schema/rest/index.ts";
import type { Draft } from "./draft.ts";
import { relationsOf } from "./known-networks.ts";
import { NamedPairs } from "./named-pairs.ts";
import { type Look, Refusal } from "./refusal.ts";
import type { Steps } from "./steps.ts";

/**
 * A vxlan device has one underlay family. Hosts that the change set leaves alone agree already, so one of them speaks
 * for all: the cost is that of the change set, not of the network.
 */
export class UnderlayRules {
  /** By network, the families of hosts that VMs of the change set are on. Names of the hosts would be too many in an import. */
  readonly coming = new Map<string, ReadonlySet<Family>>();
  /** Interfaces that the change set takes away. */
  private readonly leaving = new NamedPairs();
  private readonly families = new Map<string, ReadonlySet<Family>>();

  constructor(private readonly draft: Draft) {}

  /** An edit of the draft: all of them, before `check`. */
  add(before: Vm | null, after: Vm | null): void {
    for (const { host, network } of before ? relationsOf(before) : []) this.leaving.addInterfaces(host, network, 1);
    for (const { host, network } of after ? relationsOf(after) : []) this.come(network, this.familiesOf(host));
  }

  *check(look: Look): Steps<void> {
    const { draft, coming } = this;
    for (const { before, after } of draft.hosts.values()) {
      if (!before || !after || familyOf(before.vtep) === familyOf(after.vtep)) continue;
      for (const network of draft.base.networksOn(after.name).keys()) this.come(network, none);
    }
    const mixed = new Map<string, Seen>();
    for (const [network, families] of coming) {
      yield;
      const seen: Seen = new Map();
      for (const host of stayingHosts(draft, network, this.leaving)) {
        look("host", host, () => checkUnderlay(draft, network, host, seen));
      }
      if (new Set([...seen.keys(), ...families]).size > 1) mixed.set(network, seen);
    }
    if (mixed.size > 0) yield* this.checkComing(mixed, look);
  }

  /** Each host of these networks that a VM of the change set is on. */
  private *checkComing(mixed: ReadonlyMap<string, Seen>, look: Look): Steps<void> {
    const { draft } = this;
    const looked = new NamedPairs();
    for (const { after } of draft.vms.values()) {
      yield;
      for (const { host, network } of after ? relationsOf(after) : []) {
        const seen = mixed.get(network);
        if (!after || !seen || looked.interfacesOf(host, network) > 0) continue;
        looked.addInterfaces(host, network, 1);
        look("vm", after.name, () => checkUnderlay(draft, network, host, seen));
      }
    }
  }

  private come(network: string, more: ReadonlySet<Family>): void {
    const known = this.coming.get(network);
    if (known === more) return;
    this.coming.set(network, known ? new Set([...known, ...more]) : more);
  }

  /** One, or none where the host is not there. */
  private familiesOf(host: string): ReadonlySet<Family> {
    const known = this.families.get(host);
    if (known) return known;
    const vtep = this.draft.findHost(host)?.vtep;
    const families = vtep === undefined ? none : alone[familyOf(vtep)];
    this.families.set(host, families);
    return families;
  }
}

/** By family, one of the hosts that may stay in the network. */
type Seen = Map<Family, string>;

const none: ReadonlySet<Family> = new Set();
const alone: Readonly<Record<Family, ReadonlySet<Family>>> = { 4: new Set([4]), 6: new Set([6]) };

function checkUnderlay(draft: Draft, network: string, host: string, seen: Seen): void {
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
function* stayingHosts(draft: Draft, network: string, leaving: NamedPairs): Generator<string> {
  const interfaces = draft.base.hostsIn(network);
  const stays = (host: string) => (interfaces.get(host) ?? 0) > leaving.interfacesOf(host, network);
  for (const host of draft.hosts.keys()) if (stays(host)) yield host;
  for (const host of interfaces.keys()) {
    if (draft.hosts.has(host) || !stays(host)) continue;
    yield host;
    return;
  }
}
