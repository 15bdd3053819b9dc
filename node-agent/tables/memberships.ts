// Which groups the guests of one network on this host are members of, by port: what they report, when they are asked, and when a membership
// ends. Pure; time is an argument, ms.
import type { GroupAddress } from "../../schema/address/index.ts";

/** RFC 3376 §8.4 and RFC 3810 §9.4: two intervals between queries and the time for an answer. */
export const membershipMs = 260_000;
/** A guest that leaves is asked twice, a second apart, and has a second for each answer; the rest is for a loaded machine. */
export const lastMemberMs = 2_500;
const askAgainMs = 1_000;
/** Where so many leave that not each can be asked for: all are, within seconds. */
const crowdedMs = 12_000;

export const maxGroupsPerPort = 256;
/** On one host, of one network: the whole set fits into a frame to the controller. */
export const maxGroupsPerNetwork = 1_024;

/** Members whose port is not known: a guest that does not report a group because it has heard the report of another one (IGMPv2, MLDv1). */
const anyPort = "";

/** A query about one group. */
export interface GroupQuestion {
  readonly group: GroupAddress;
  /** Absent: out of all ports. */
  readonly port?: string;
}

export class Memberships {
  /** By group, then by port: when the membership ends. */
  private readonly members = new Map<GroupAddress, Map<string, number>>();
  private readonly perPort = new Map<string, number>();
  /** Ports with memberships that had no room, by the time of the last. */
  private readonly refused = new Map<string, number>();
  /** Groups that are members now and were not at the last `takeChanges`, or the other way round, or both in between. */
  private touched = new Set<GroupAddress>();
  private readonly questions = new Map<string, GroupQuestion & { readonly atMs: number }>();
  private firstEndMs = Number.POSITIVE_INFINITY;

  /** @param mayAsk whether a group that a guest leaves is asked for now; otherwise the caller asks for all groups soon */
  constructor(private readonly mayAsk: (question: GroupQuestion) => boolean) {}

  has(group: GroupAddress): boolean {
    return this.members.has(group);
  }

  get groups(): GroupAddress[] {
    return [...this.members.keys()];
  }

  /** Ports with members of the group that are known. */
  portsOf(group: GroupAddress): string[] {
    return [...(this.members.get(group)?.keys() ?? [])].filter((port) => port !== anyPort);
  }

  /** @returns false: there is no room */
  join(port: string, group: GroupAddress, nowMs: number): boolean {
    const ports = this.members.get(group);
    if (!ports?.has(port)) {
      const isNew = ports === undefined;
      const isFull =
        (this.perPort.get(port) ?? 0) >= maxGroupsPerPort || (isNew && this.members.size >= maxGroupsPerNetwork);
      if (isFull) {
        this.refused.set(port, nowMs);
        return false;
      }
      this.perPort.set(port, (this.perPort.get(port) ?? 0) + 1);
      if (isNew) this.touched.add(group);
    }
    this.put(port, group, nowMs + membershipMs);
    this.questions.delete(keyOf({ group, port }));
    // A member is known: others need not be found.
    this.questions.delete(keyOf({ group }));
    return true;
  }

  /** @returns what to ask now. `true`: more guests leave than can be asked for, so all groups have to be asked for within seconds */
  leave(port: string, group: GroupAddress, nowMs: number): readonly GroupQuestion[] | true {
    const ports = this.members.get(group);
    const endMs = ports?.get(port);
    // It is asked already, or was no member.
    if (!ports || endMs === undefined || endMs <= nowMs + crowdedMs) return [];
    const question = ports.size > 1 ? { group, port } : { group };
    if (!this.mayAsk(question)) {
      this.put(port, group, nowMs + crowdedMs);
      return true;
    }
    this.put(port, group, nowMs + lastMemberMs);
    this.questions.set(keyOf(question), { ...question, atMs: nowMs + askAgainMs });
    return [question];
  }

  /** The port is gone, and its guest with it. Others may be members without having said so. @returns as `leave` */
  portGone(port: string, nowMs: number): readonly GroupQuestion[] | true {
    const asked: GroupQuestion[] = [];
    let isCrowded = false;
    for (const [group, ports] of this.members) {
      if (!ports.has(port)) continue;
      if (ports.size > 1) {
        ports.delete(port);
        continue;
      }
      this.put(anyPort, group, nowMs + membershipMs);
      ports.delete(port);
      const found = this.leave(anyPort, group, nowMs);
      if (found === true) isCrowded = true;
      else asked.push(...found);
    }
    this.perPort.delete(port);
    this.refused.delete(port);
    return isCrowded ? true : asked;
  }

  /** Ends memberships that were not confirmed in time. @returns what to ask again */
  tick(nowMs: number): GroupQuestion[] {
    const due: GroupQuestion[] = [];
    for (const [key, { atMs, ...question }] of this.questions) {
      if (atMs > nowMs) continue;
      this.questions.delete(key);
      due.push(question);
    }
    if (this.firstEndMs > nowMs) return due;
    this.firstEndMs = Number.POSITIVE_INFINITY;
    for (const [group, ports] of this.members) {
      for (const [port, endMs] of ports) {
        if (endMs > nowMs) this.firstEndMs = Math.min(this.firstEndMs, endMs);
        else {
          ports.delete(port);
          this.uncount(port);
        }
      }
      if (ports.size > 0) continue;
      this.members.delete(group);
      this.questions.delete(keyOf({ group }));
      this.touched.add(group);
    }
    return due;
  }

  /** Ports whose guests have joined more groups than there is room for. */
  fullPorts(nowMs: number): string[] {
    for (const [port, atMs] of this.refused) if (nowMs - atMs >= membershipMs) this.refused.delete(port);
    return [...this.refused.keys()];
  }

  /** Groups that may have changed since the last call. */
  takeChanges(): ReadonlySet<GroupAddress> {
    const { touched } = this;
    this.touched = new Set();
    return touched;
  }

  get hasChanges(): boolean {
    return this.touched.size > 0;
  }

  private put(port: string, group: GroupAddress, endMs: number): void {
    const ports = this.members.get(group) ?? new Map<string, number>();
    this.members.set(group, ports.set(port, endMs));
    this.firstEndMs = Math.min(this.firstEndMs, endMs);
  }

  private uncount(port: string): void {
    const count = (this.perPort.get(port) ?? 0) - 1;
    if (count > 0) this.perPort.set(port, count);
    else this.perPort.delete(port);
  }
}

const keyOf = ({ group, port = anyPort }: GroupQuestion): string => `${port} ${group}`;
