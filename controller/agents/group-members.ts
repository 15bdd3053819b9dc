// Multicast groups with members on each host, as the agents report them, and what the other hosts of a network are sent of them. In memory
// only: agents report all of it with each session. A host without a session keeps its groups, as its guests keep them.
import { clearTimeout, setTimeout } from "node:timers";
import { type GroupAddress, linkPurpose, type Vni } from "../../schema/address/index.ts";
import { type AgentFrame, type GroupChange, maxFrameBytes, maxMemberships } from "../../schema/agent/index.ts";
import type { Network } from "../../schema/rest/index.ts";
import type { BindingChanges } from "../inventory/binding-changes.ts";
import { isReplicated } from "../inventory/bindings.ts";
import type { Inventory } from "../inventory/inventory.ts";
import { findKnownNetwork, hostsKnowing, knownNetworks } from "../inventory/known-networks.ts";
import { frameText } from "./frames.ts";

/** Changes of a network within this time are sent together, ms: a guest that joins and leaves costs its network's hosts ten frames a second. */
const pauseMs = 100;
/** Of the groups in one frame. */
const maxBytes = maxFrameBytes - 4_096;

interface HostGroups {
  /** The host has said all that it is in since this controller started. */
  isWhole: boolean;
  readonly groups: Set<GroupAddress>;
}

type HostChange = { readonly host: string } & GroupChange;

/** What was not sent yet of one network. */
interface Pending {
  readonly byHost: Map<string, Map<GroupAddress, "joined" | "left"> | "whole">;
  timer: NodeJS.Timeout | undefined;
  sentMs: number;
}

/** A session of an agent, as far as it is needed here. */
export interface GroupSession {
  readonly isSynced: boolean;
  /** Version 2. */
  readonly resumes: boolean;
  readonly hello: { readonly groups?: true } | undefined;
  send(frames: readonly string[]): void;
}

export interface GroupMembersDeps {
  readonly current: () => Inventory;
  readonly sessions: ReadonlyMap<string, GroupSession>;
  /** Monotonic. */
  readonly nowMs: () => number;
}

/** A group and the hosts with members, for people. */
export interface GroupHosts {
  readonly group: GroupAddress;
  readonly hosts: readonly string[];
}

export class GroupMembers {
  private readonly byVni = new Map<Vni, Map<string, HostGroups>>();
  private readonly pending = new Map<Vni, Pending>();

  constructor(private readonly deps: GroupMembersDeps) {}

  /** Memberships of hosts, over all networks. */
  get size(): number {
    let size = 0;
    for (const hosts of this.byVni.values()) for (const { groups } of hosts.values()) size += groups.size;
    return size;
  }

  /** What a host says of a network that it may not know, or that is not copied, is ignored: it is about to hear of that. */
  reported(host: string, { vni, whole, joined, left }: Extract<AgentFrame, { type: "memberships" }>): void {
    const network = findKnownNetwork(this.deps.current(), host, vni);
    if (!network || !isReplicated(network)) return;
    const state = this.stateOf(vni, host);
    const changed = new Map<GroupAddress, "joined" | "left">();
    const wanted = whole ? new Set(joined) : undefined;
    const removed = wanted ? [...state.groups].filter((group) => !wanted.has(group)) : left;
    for (const group of removed) if (state.groups.delete(group)) changed.set(group, "left");
    for (const group of joined) {
      if (state.groups.has(group) || state.groups.size >= maxMemberships || linkPurpose(group) !== undefined) continue;
      state.groups.add(group);
      changed.set(group, "joined");
    }
    const isFirst = whole && !state.isWhole;
    if (whole) state.isWhole = true;
    if (isFirst || changed.size > 0) this.note(vni, host, isFirst ? "whole" : changed);
  }

  /** The session has its snapshot. An agent that reports no groups has none. */
  begin(host: string, session: GroupSession): void {
    for (const network of knownNetworks(this.deps.current(), host)) {
      if (!isReplicated(network)) continue;
      if (!takesGroups(session))
        this.reported(host, { type: "memberships", vni: network.vni, whole: true, joined: [], left: [] });
      this.sendAll(host, session, network.vni);
    }
  }

  /** After a revision was pushed. */
  follow({ joined, gone, redefined }: Pick<BindingChanges, "joined" | "gone" | "redefined">): void {
    const { current, sessions } = this.deps;
    for (const [host, vnis] of gone) for (const vni of vnis) this.forget(vni, host);
    for (const network of redefined) if (!isReplicated(network)) this.forgetNetwork(network.vni);
    for (const [host, vnis] of joined) {
      const session = sessions.get(host);
      if (!session?.isSynced) continue;
      for (const vni of vnis) {
        const network = current().findNetworkByVni(vni);
        if (!network || !isReplicated(network)) continue;
        if (!takesGroups(session)) this.reported(host, { type: "memberships", vni, whole: true, joined: [], left: [] });
        this.sendAll(host, session, vni);
      }
    }
  }

  /** In the order of their texts. */
  groupsIn({ vni }: Pick<Network, "vni">): GroupHosts[] {
    const byGroup = new Map<GroupAddress, string[]>();
    for (const [host, { groups }] of this.byVni.get(vni) ?? [])
      for (const group of groups) byGroup.set(group, [...(byGroup.get(group) ?? []), host]);
    return [...byGroup].sort(([a], [b]) => (a < b ? -1 : 1)).map(([group, hosts]) => ({ group, hosts: hosts.sort() }));
  }

  stop(): void {
    for (const { timer } of this.pending.values()) clearTimeout(timer);
    this.pending.clear();
  }

  private stateOf(vni: Vni, host: string): HostGroups {
    const hosts = this.byVni.get(vni) ?? new Map<string, HostGroups>();
    this.byVni.set(vni, hosts);
    const state = hosts.get(host) ?? { isWhole: false, groups: new Set() };
    hosts.set(host, state);
    return state;
  }

  /** The host table says the same to the others. */
  private forget(vni: Vni, host: string): void {
    const hosts = this.byVni.get(vni);
    hosts?.delete(host);
    if (hosts?.size === 0) this.forgetNetwork(vni);
    this.pending.get(vni)?.byHost.delete(host);
  }

  private forgetNetwork(vni: Vni): void {
    this.byVni.delete(vni);
    clearTimeout(this.pending.get(vni)?.timer);
    this.pending.delete(vni);
  }

  private note(vni: Vni, host: string, changed: ReadonlyMap<GroupAddress, "joined" | "left"> | "whole"): void {
    const pending = this.pending.get(vni) ?? { byHost: new Map(), timer: undefined, sentMs: Number.NEGATIVE_INFINITY };
    this.pending.set(vni, pending);
    const known = pending.byHost.get(host);
    if (changed === "whole") pending.byHost.set(host, "whole");
    else if (known !== "whole") pending.byHost.set(host, new Map([...(known ?? []), ...changed]));
    if (pending.timer !== undefined) return;
    const waitMs = pending.sentMs + pauseMs - this.deps.nowMs();
    if (waitMs <= 0) this.flush(vni, pending);
    else pending.timer = setTimeout(() => this.flush(vni, pending), waitMs);
  }

  private flush(vni: Vni, pending: Pending): void {
    const { current, sessions, nowMs } = this.deps;
    pending.timer = undefined;
    pending.sentMs = nowMs();
    const changes = [...pending.byHost].map(([host, changed]): HostChange => {
      if (changed === "whole") return this.wholeOf(vni, host);
      const those = (verb: "joined" | "left") =>
        [...changed].flatMap(([group, what]) => (what === verb ? [group] : []));
      return { host, whole: false, joined: those("joined"), left: those("left") };
    });
    pending.byHost.clear();
    const network = current().findNetworkByVni(vni);
    if (!network) return;
    const texts = framesOf(vni, changes);
    const [only, ...others] = changes;
    for (const host of hostsKnowing(current(), network.name)) {
      const session = sessions.get(host);
      // Nothing of its own; with changes of others it ignores that.
      if (session?.isSynced && takesGroups(session) && !(others.length === 0 && only?.host === host))
        session.send(texts);
    }
  }

  /** All that is known of the others. */
  private sendAll(host: string, session: GroupSession, vni: Vni): void {
    if (!takesGroups(session)) return;
    const others = [...(this.byVni.get(vni) ?? [])].flatMap(([name]) =>
      name === host ? [] : [this.wholeOf(vni, name)],
    );
    session.send(framesOf(vni, others));
  }

  private wholeOf(vni: Vni, host: string): HostChange {
    const { isWhole, groups } = this.stateOf(vni, host);
    return { host, whole: isWhole, joined: [...groups], left: [] };
  }
}

const takesGroups = ({ hello, resumes }: GroupSession): boolean => resumes && hello?.groups === true;

/** As few frames as there can be; none for nothing. */
function framesOf(vni: Vni, changes: readonly HostChange[]): string[] {
  const frames: string[] = [];
  let hosts: HostChange[] = [];
  let bytes = 0;
  const take = (): void => {
    if (hosts.length > 0) frames.push(frameText({ type: "groups", vni, hosts }));
    hosts = [];
    bytes = 0;
  };
  for (const change of changes) {
    const size = JSON.stringify(change).length + 1;
    if (bytes + size > maxBytes) take();
    hosts.push(change);
    bytes += size;
  }
  take();
  return frames;
}
