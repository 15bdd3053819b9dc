// Which hosts may know a network, with their tunnel ends: the host table, for agents with --underlay-filter, and of networks
// whose broadcasts are copied. Its content does not depend on the host that it is for; in version 1 frames.ts leaves that one out.
import type { Revision, Vni } from "../../schema/address/index.ts";
import type { AgentFrame, Member } from "../../schema/agent/index.ts";
import type { Network } from "../../schema/rest/index.ts";
import type { BindingChanges } from "../inventory/binding-changes.ts";
import { isReplicated } from "../inventory/bindings.ts";
import { HostVnis } from "../inventory/host-vnis.ts";
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

/** Whether a host wants the table of a network, if it may know that. */
export type Wants = (host: string, network: Network) => boolean;

const wantsAll: Wants = () => true;

/** What a session has asked for in its hello. */
export function tablesWanted(
  hello: Pick<Extract<AgentFrame, { type: "hello" }>, "senders" | "broadcasts"> | undefined,
) {
  return (network: Network): boolean =>
    hello?.senders === true || (hello?.broadcasts === true && isReplicated(network));
}

/** Whole tables. Those of the present revision are kept: a fleet that returns asks for each of them many times. */
export class HostTables {
  private revision: Revision | undefined;
  private readonly byVni = new Map<Vni, readonly TablePart[]>();

  /** The tables of all networks that the host may know, and wants a table of. */
  of(state: Inventory, revision: Revision, host: string, wants: Wants = wantsAll): TablePart[] {
    if (revision !== this.revision) this.byVni.clear();
    this.revision = revision;
    return knownNetworks(state, host).flatMap((network) => {
      if (!wants(host, network)) return [];
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
  wants: Wants,
): Steps<Map<string, TablePart[]>> {
  const news = new MemberNews(state, wants);
  for (const [host, vnis] of changes.joined) {
    yield;
    for (const vni of vnis) news.begin(host, vni);
  }
  // Copying may begin with this change.
  for (const network of changes.redefined.filter(isReplicated)) {
    for (const host of hostsKnowing(state, network.name)) {
      yield;
      news.begin(host, network.vni);
    }
  }
  for (const [host, vnis] of changes.gone) {
    for (const vni of vnis) {
      yield;
      news.add(vni, { host, vtep: null });
    }
  }
  for (const [host, vnis] of changes.joined) {
    const member = memberOf(state, host);
    for (const vni of member ? vnis : []) {
      yield;
      if (member) news.add(vni, member);
    }
  }
  for (const { name, vtep, port } of changes.selves) {
    for (const { vni } of knownNetworks(state, name)) {
      yield;
      news.add(vni, { host: name, vtep, port });
    }
  }
  return news.parts();
}

/** Tables of hosts that begin to know a network, and what others that know it are sent of members. */
class MemberNews {
  private readonly byHost = new Map<string, TablePart[]>();
  private readonly wholes = new Map<Vni, readonly TablePart[]>();
  private readonly newcomers = new HostVnis();
  /** By network: hosts that want its table and have had it. */
  private readonly listeners = new Map<Vni, readonly string[]>();
  private readonly members = new Map<Vni, Member[]>();

  constructor(
    private readonly state: Inventory,
    private readonly wants: Wants,
  ) {}

  /** The host begins to know the network, or to need its table: before all of `add`. */
  begin(host: string, vni: Vni): void {
    const network = this.state.findNetworkByVni(vni);
    if (!network || !this.wants(host, network) || this.newcomers.has(host, vni)) return;
    const whole = this.wholes.get(vni) ?? tableOf(this.state, network);
    this.wholes.set(vni, whole);
    this.newcomers.add(host, vni);
    this.send(host, whole);
  }

  add(vni: Vni, member: Member): void {
    if (this.listenersIn(vni).length === 0) return;
    const members = this.members.get(vni);
    if (members) members.push(member);
    else this.members.set(vni, [member]);
  }

  parts(): Map<string, TablePart[]> {
    for (const [vni, members] of this.members) {
      const parts = partsOf(vni, members).map((part): TablePart => ({ ...part, whole: false, end: true }));
      for (const host of this.listenersIn(vni)) this.send(host, parts);
    }
    return this.byHost;
  }

  private listenersIn(vni: Vni): readonly string[] {
    const known = this.listeners.get(vni);
    if (known) return known;
    const network = this.state.findNetworkByVni(vni);
    const all = network ? [...hostsKnowing(this.state, network.name)] : [];
    const listeners = all.filter((host) => network && this.wants(host, network) && !this.newcomers.has(host, vni));
    this.listeners.set(vni, listeners);
    return listeners;
  }

  private send(host: string, parts: readonly TablePart[]): void {
    const known = this.byHost.get(host);
    if (known) known.push(...parts);
    else this.byHost.set(host, [...parts]);
  }
}

function tableOf(state: Inventory, { name, vni }: Network): TablePart[] {
  return partsOf(
    vni,
    [...hostsKnowing(state, name)].flatMap((host) => memberOf(state, host) ?? []),
  );
}

/** All together are the whole table. */
function partsOf(vni: Vni, members: readonly Member[]): TablePart[] {
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
