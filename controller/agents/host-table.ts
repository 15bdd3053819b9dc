// Which hosts may know a network, with their tunnel ends: the host table, for agents with --underlay-filter. Its content does not
// depend on the host that it is for; in version 1 frames.ts leaves that one out.
import type { Revision, Vni } from "../../schema/address/index.ts";
import type { Member } from "../../schema/agent/index.ts";
import type { Network } from "../../schema/rest/index.ts";
import type { BindingChanges } from "../inventory/binding-changes.ts";
import type { Inventory } from "../inventory/inventory.ts";
import { hostsKnowing, knownNetworks } from "../inventory/known-networks.ts";
import type { Steps } from "../inventory/steps.ts";

/** The content of one frame. */
export interface TablePart {
  readonly vni: Vni;
  /** The first part of a whole table. */
  readonly whole: boolean;
  readonly members: readonly Member[];
  readonly end: boolean;
  /** What all hosts are sent, once it is made. */
  text?: string;
}

/** Members in a frame: names and addresses of that many stay below `maxFrameBytes`. */
const membersAtOnce = 400;

/** Whole tables. Those of the present revision are kept: a fleet that returns asks for each of them many times. */
export class HostTables {
  private revision: Revision | undefined;
  private readonly byVni = new Map<Vni, readonly TablePart[]>();

  /** The tables of all networks that the host may know. */
  of(state: Inventory, revision: Revision, host: string): TablePart[] {
    if (revision !== this.revision) this.byVni.clear();
    this.revision = revision;
    return knownNetworks(state, host).flatMap((network) => {
      const table = this.byVni.get(network.vni) ?? tableOf(state, network);
      this.byVni.set(network.vni, table);
      return table;
    });
  }
}

/**
 * Changes of one revision, by host. A host that begins or ceases to know a network is pushed to all hosts of the network that want
 * the table: the cost of membership. Every other change is pushed only to its holders.
 */
export function* tableChanges(
  state: Inventory,
  changes: BindingChanges,
  wants: (host: string) => boolean,
): Steps<Map<string, TablePart[]>> {
  const parts = new Map<string, TablePart[]>();
  const add = (to: string, ...more: TablePart[]): void => {
    parts.set(to, [...(parts.get(to) ?? []), ...more]);
  };
  const newcomers = new Set<string>();
  const placeOf = (host: string, vni: Vni): string => `${host} ${vni}`;
  const notify = (vni: Vni, member: Member): void => {
    const network = state.findNetworkByVni(vni);
    const part: TablePart = { vni, whole: false, members: [member], end: true };
    for (const host of network ? hostsKnowing(state, network.name) : []) {
      if (wants(host) && !newcomers.has(placeOf(host, vni))) add(host, part);
    }
  };
  const wholes = new Map<Vni, TablePart[]>();
  for (const [host, vnis] of changes.joined) {
    for (const vni of vnis) {
      yield;
      const network = state.findNetworkByVni(vni);
      if (!network || !wants(host)) continue;
      newcomers.add(placeOf(host, vni));
      const whole = wholes.get(vni) ?? tableOf(state, network);
      wholes.set(vni, whole);
      add(host, ...whole);
    }
  }
  for (const [host, vnis] of changes.gone) {
    for (const vni of vnis) {
      yield;
      notify(vni, { host, vtep: null });
    }
  }
  for (const [host, vnis] of changes.joined) {
    for (const vni of vnis) {
      yield;
      const member = memberOf(state, host);
      if (member) notify(vni, member);
    }
  }
  for (const { name, vtep, port } of changes.selves) {
    for (const { vni } of knownNetworks(state, name)) {
      yield;
      notify(vni, { host: name, vtep, port });
    }
  }
  return parts;
}

function tableOf(state: Inventory, { name, vni }: Network): TablePart[] {
  const members = [...hostsKnowing(state, name)].flatMap((host) => memberOf(state, host) ?? []);
  const parts: TablePart[] = [];
  for (let at = 0; at === 0 || at < members.length; at += membersAtOnce) {
    const part = members.slice(at, at + membersAtOnce);
    parts.push({ vni, whole: at === 0, members: part, end: at + membersAtOnce >= members.length });
  }
  return parts;
}

function memberOf(state: Inventory, host: string): Member | undefined {
  const found = state.findHost(host);
  return found && { host, vtep: found.vtep, port: found.port };
}
