// Which multicast groups the guests of this host are in: listens to their reports in networks whose broadcasts are copied, asks them, and
// says so to the controller. Neither leaves this host: questions go out of guests' ports only, and the rules for copies drop reports
// (guard/broadcast-rules.ts).
import type { Logger } from "pino";
import { every, type Repetition } from "../../common/every.ts";
import { TokenBucket } from "../../common/token-bucket.ts";
import type { GroupAddress, Vni } from "../../schema/address/index.ts";
import { type AgentFrame, maxMemberships } from "../../schema/agent/index.ts";
import { asCondition, type HostCondition } from "../findings/condition.ts";
import { decodeReports, encodeQuery, queryIntervalS } from "../kernel/codec/group-codec.ts";
import { bridgeName, vxlanName } from "../kernel/devices/device-names.ts";
import type { NetworkDevices } from "../kernel/devices/network-devices.ts";
import { SystemCallError } from "../kernel/sockets/libc.ts";
import type { ReportSocket } from "../kernel/sockets/report-sockets.ts";
import type { RegisteredNetworks } from "../networks/registered-networks.ts";
import { type GroupQuestion, Memberships, maxGroupsPerPort } from "../tables/memberships.ts";

/** Reports are read so soon. */
const readEveryMs = 50;
/** Ports come and go. */
const lookEveryMs = 1_000;
/** Of one port at a time; more is read the next time, and asked for again, as some may have been lost. */
const maxReports = 64;
const maxNotices = 512;
const queryEveryMs = queryIntervalS * 1_000;
/** RFC 3376 §8.6: a quarter of the interval. */
const secondQueryMs = 31_250;
/** Guests spread their answers over this time; at a start and after a loss over the shorter one, ms. */
const responseMs = 10_000;
const quickResponseMs = 1_000;
/** From a start to the whole set: two questions with quick answers. */
const secondQuickQueryMs = 1_500;
const learningMs = 3_000;
/** Between questions to all guests of a port because it reports more than is read. */
const relearnEveryMs = 10_000;
/** Questions about single groups in one network, in frames. */
const questionRate = { perSecond: 200, burst: 400 };
/** Messages about one network to the controller: some at once, then one a second. */
const messageRate = { perSecond: 1, burst: 5 };

/** Frames of guests and questions, since the start. */
export type GroupCounter = "reports" | "queries" | "refused";

export interface GroupEdges {
  /** In the host's network namespace. @throws SystemCallError where there is no such device */
  hear(ifindex: number, on: "port" | "bridge"): Pick<ReportSocket, "next" | "close">;
  /** @returns whether the device accepted the frame */
  send(frame: Buffer, ifindex: number): boolean;
  /** The bridge's ports by name. */
  portsOf(bridge: string): ReadonlyMap<string, number>;
  /** Six bytes; undefined where there is no such device. */
  macOf(bridge: string): Buffer | undefined;
}

export interface GroupWatchDependencies {
  readonly registered: Pick<RegisteredNetworks, "list" | "nameOf">;
  readonly devices: Pick<NetworkDevices, "deviceOf" | "adoptedFor">;
  /** Absent: no guest is heard, and this host is in no group. */
  readonly edges: GroupEdges | undefined;
  /** To the controller. `send`: false where there is no session. */
  readonly uplink: { send(frame: AgentFrame): boolean };
  readonly log: Logger;
  nowMs(): number;
}

interface Port {
  readonly ifindex: number;
  readonly socket: Pick<ReportSocket, "next" | "close">;
  /** When all its guests are asked next, and how quickly they are to answer. */
  readonly due: { atMs: number; quick: boolean }[];
  /** It has more to read than was read. */
  isLoud: boolean;
  lastRelearnMs: number;
}

interface Tracked {
  readonly vni: Vni;
  readonly bridge: string;
  readonly bridgeIfindex: number;
  readonly tunnel: string;
  readonly notice: Pick<ReportSocket, "next" | "close">;
  readonly ports: Map<string, Port>;
  readonly memberships: Memberships;
  readonly sinceMs: number;
  readonly messages: TokenBucket;
  /** What the controller has of this network in this session. */
  sent: Set<GroupAddress>;
  isWholeSent: boolean;
  /** Groups that may be other than in `sent`. */
  readonly unsent: Set<GroupAddress>;
}

export class GroupWatch {
  readonly counters = new Map<GroupCounter, number>([
    ["reports", 0],
    ["queries", 0],
    ["refused", 0],
  ]);
  private readonly networks = new Map<Vni, Tracked>();
  /** The controller of the session takes memberships. */
  private isReporting = false;
  private reading: Repetition | undefined;
  private looking: Repetition | undefined;
  readonly settled = true;

  constructor(private readonly deps: GroupWatchDependencies) {}

  /** What an operator should know. */
  get conditions(): HostCondition[] {
    const nowMs = this.deps.nowMs();
    return [...this.networks.values()].flatMap(({ vni, memberships }) =>
      memberships.fullPorts(nowMs).map((port) => {
        const values = { port, most: String(maxGroupsPerPort), limit: String(maxMemberships) };
        const name = this.deps.registered.nameOf(vni) ?? String(vni);
        return asCondition({ kind: "groups-limited", reason: "port", vni, values }, name);
      }),
    );
  }

  /** Networks or their devices may have changed. */
  settle(): Promise<void> {
    if (this.deps.edges) this.follow(this.deps.edges);
    return Promise.resolve();
  }

  /** Groups that guests of this host are in, in the order of their texts. */
  groupsOf(vni: Vni): GroupAddress[] {
    return this.networks.get(vni)?.memberships.groups.sort() ?? [];
  }

  /** Ports with members of the group. */
  portsOf(vni: Vni, group: GroupAddress): string[] {
    return this.networks.get(vni)?.memberships.portsOf(group) ?? [];
  }

  /** A session has its snapshot. @param takes its controller takes memberships */
  begin(takes: boolean): void {
    this.isReporting = takes;
    for (const network of this.networks.values()) {
      network.sent = new Set();
      network.isWholeSent = false;
      for (const group of network.memberships.groups) network.unsent.add(group);
    }
    this.report();
  }

  onClosed(): void {
    this.isReporting = false;
  }

  close(): void {
    this.reading?.stop();
    this.looking?.stop();
    for (const vni of [...this.networks.keys()]) this.drop(vni);
  }

  private follow(edges: GroupEdges): void {
    const { registered, devices } = this.deps;
    const wanted = new Set<Vni>();
    for (const { vni, broadcast } of registered.list()) {
      const device = broadcast === undefined ? undefined : devices.deviceOf(vni);
      if (!device) continue;
      wanted.add(vni);
      const known = this.networks.get(vni);
      if (known?.bridgeIfindex === device.bridgeIfindex) continue;
      if (known) this.drop(vni);
      this.track(edges, vni, device.bridgeIfindex);
    }
    for (const vni of [...this.networks.keys()]) if (!wanted.has(vni)) this.drop(vni);
    if (this.networks.size === 0) {
      this.reading?.stop();
      this.looking?.stop();
      this.reading = undefined;
      this.looking = undefined;
      return;
    }
    this.look(edges);
    this.reading ??= every(readEveryMs, () => this.read(edges));
    this.looking ??= every(lookEveryMs, () => this.follow(edges), { inStep: true });
  }

  private track(edges: GroupEdges, vni: Vni, bridgeIfindex: number): void {
    const { devices, nowMs } = this.deps;
    const adopted = devices.adoptedFor(vni);
    const notice = this.hear(edges, bridgeIfindex, "bridge");
    if (!notice) return;
    const questions = new TokenBucket(questionRate, nowMs());
    const ports = new Map<string, Port>();
    const mayAsk = ({ port }: GroupQuestion): boolean => {
      const frames = port === undefined ? Math.max(1, ports.size) : 1;
      if (questions.waitMs(frames, nowMs()) > 0) return false;
      questions.spend(frames, nowMs());
      return true;
    };
    this.networks.set(vni, {
      vni,
      bridge: adopted?.bridge ?? bridgeName(vni),
      bridgeIfindex,
      tunnel: adopted?.name ?? vxlanName(vni),
      notice,
      ports,
      memberships: new Memberships(mayAsk),
      sinceMs: nowMs(),
      messages: new TokenBucket(messageRate, nowMs()),
      sent: new Set(),
      isWholeSent: false,
      unsent: new Set(),
    });
  }

  private drop(vni: Vni): void {
    const network = this.networks.get(vni);
    network?.notice.close();
    for (const { socket } of network?.ports.values() ?? []) socket.close();
    this.networks.delete(vni);
  }

  /** Which ports there are now. A VM that was started again has another device of the same name. */
  private look(edges: GroupEdges): void {
    for (const network of this.networks.values()) {
      const present = edges.portsOf(network.bridge);
      for (const [name, { ifindex, socket }] of network.ports) {
        if (present.get(name) === ifindex) continue;
        socket.close();
        network.ports.delete(name);
        this.ask(edges, network, network.memberships.portGone(name, this.deps.nowMs()));
      }
      for (const [name, ifindex] of present) {
        if (name !== network.tunnel && !network.ports.has(name)) this.open(edges, network, name, ifindex);
      }
    }
    this.read(edges);
  }

  private open(edges: GroupEdges, network: Tracked, name: string, ifindex: number): void {
    const socket = this.hear(edges, ifindex, "port");
    if (!socket) return;
    const nowMs = this.deps.nowMs();
    const due = [
      { atMs: nowMs, quick: true },
      { atMs: nowMs + secondQuickQueryMs, quick: true },
      { atMs: nowMs + secondQueryMs, quick: false },
    ];
    network.ports.set(name, { ifindex, socket, due, isLoud: true, lastRelearnMs: nowMs });
  }

  private hear(
    edges: GroupEdges,
    ifindex: number,
    on: "port" | "bridge",
  ): Pick<ReportSocket, "next" | "close"> | undefined {
    try {
      return edges.hear(ifindex, on);
    } catch (error) {
      // It is gone again: the next look finds the next one.
      if (error instanceof SystemCallError) return undefined;
      throw error;
    }
  }

  private read(edges: GroupEdges): void {
    const nowMs = this.deps.nowMs();
    for (const network of this.networks.values()) {
      let notices = 0;
      while (notices < maxNotices && network.notice.next()) notices += 1;
      for (const [name, port] of network.ports) {
        if (notices > 0 || port.isLoud) this.readPort(edges, network, name, port);
        this.askAll(edges, network, port, nowMs);
      }
      this.ask(edges, network, network.memberships.tick(nowMs));
    }
    this.report();
  }

  private readPort(edges: GroupEdges, network: Tracked, name: string, port: Port): void {
    const { memberships } = network;
    const nowMs = this.deps.nowMs();
    let read = 0;
    for (; read < maxReports; read++) {
      const frame = port.socket.next();
      if (!frame) break;
      if (isRarp(frame)) {
        this.relearn(port, nowMs, quickResponseMs);
        continue;
      }
      this.count("reports");
      for (const { verb, group } of decodeReports(frame)) {
        if (verb === "leave") this.ask(edges, network, memberships.leave(name, group, nowMs));
        else if (!memberships.join(name, group, nowMs)) this.count("refused");
      }
    }
    port.isLoud = read === maxReports;
    // Some may have been lost.
    if (port.isLoud) this.relearn(port, nowMs, relearnEveryMs);
  }

  /** All guests behind the port are asked soon. @param pauseMs no sooner than this after the last time */
  private relearn(port: Port, nowMs: number, pauseMs: number): void {
    const atMs = Math.max(nowMs, port.lastRelearnMs + pauseMs);
    if (port.due.some((each) => each.quick && each.atMs >= nowMs)) return;
    port.due.push({ atMs, quick: true });
    port.lastRelearnMs = atMs;
  }

  private askAll(edges: GroupEdges, network: Tracked, port: Port, nowMs: number): void {
    const due = port.due.filter(({ atMs }) => atMs <= nowMs);
    if (due.length === 0) return;
    const later = port.due.filter(({ atMs }) => atMs > nowMs);
    const hasRegular = later.some(({ quick }) => !quick);
    port.due.splice(
      0,
      port.due.length,
      ...later,
      ...(hasRegular ? [] : [{ atMs: nowMs + queryEveryMs, quick: false }]),
    );
    const maxResponseMs = due.some(({ quick }) => quick) ? quickResponseMs : responseMs;
    for (const family of [4, 6] as const) this.query(edges, network, [port], { family, maxResponseMs });
  }

  private ask(edges: GroupEdges, network: Tracked, questions: readonly GroupQuestion[] | true): void {
    const nowMs = this.deps.nowMs();
    if (questions === true) {
      for (const port of network.ports.values()) this.relearn(port, nowMs, relearnEveryMs);
      return;
    }
    for (const { group, port } of questions) {
      const one = port === undefined ? undefined : network.ports.get(port);
      const ports = port === undefined ? [...network.ports.values()] : one ? [one] : [];
      const family = group.includes(":") ? 6 : 4;
      this.query(edges, network, ports, { family, group, maxResponseMs: quickResponseMs });
    }
  }

  private query(
    edges: GroupEdges,
    { bridge }: Tracked,
    ports: readonly Port[],
    query: { readonly family: 4 | 6; readonly group?: GroupAddress; readonly maxResponseMs: number },
  ): void {
    const fromMac = edges.macOf(bridge);
    if (!fromMac || ports.length === 0) return;
    const frame = encodeQuery({ ...query, fromMac });
    for (const { ifindex } of ports) if (edges.send(frame, ifindex)) this.count("queries");
  }

  /** What the controller does not have yet, as fast as it may be said. */
  private report(): void {
    const { uplink, nowMs } = this.deps;
    for (const network of this.networks.values()) {
      const { vni, memberships, messages, unsent } = network;
      for (const group of memberships.takeChanges()) unsent.add(group);
      if (!this.isReporting) continue;
      const isWhole = !network.isWholeSent && nowMs() - network.sinceMs >= learningMs;
      if (!isWhole && unsent.size === 0) continue;
      if (messages.waitMs(1, nowMs()) > 0) continue;
      const changed = [...unsent];
      const joined = isWhole
        ? memberships.groups
        : changed.filter((each) => memberships.has(each) && !network.sent.has(each));
      const left = isWhole ? [] : changed.filter((each) => !memberships.has(each) && network.sent.has(each));
      unsent.clear();
      if (!isWhole && joined.length + left.length === 0) continue;
      if (!uplink.send({ type: "memberships", vni, whole: isWhole, joined, left })) {
        // The next session begins anew.
        for (const group of changed) unsent.add(group);
        continue;
      }
      messages.spend(1, nowMs());
      for (const group of joined) network.sent.add(group);
      for (const group of left) network.sent.delete(group);
      if (!isWhole) continue;
      network.sent = new Set(joined);
      network.isWholeSent = true;
    }
  }

  private count(what: GroupCounter): void {
    this.counters.set(what, (this.counters.get(what) ?? 0) + 1);
  }
}

/** Reverse ARP: a live migration has brought a guest here, which does not know that it should report anew. */
const isRarp = (frame: Buffer): boolean => frame.length >= 14 && frame.readUInt16BE(12) === 0x8035;
