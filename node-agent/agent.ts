// The agent: reads misses, queries the controller, writes answers to the kernel, and reconciles everything at the begin of a
// session. This file creates the parts and connects them.
import type { Logger } from "pino";
import { Slices } from "../common/cooperative.ts";
import {
  type AgentFrame,
  type BindingKey,
  chunk,
  type MacAddress,
  type Question,
  type Vni,
  type VtepAddress,
} from "../schema/index.ts";
import { Announcer, type AnnouncerDependencies } from "./announce/announcer.ts";
import type { Frame } from "./controller-link/frame-assembly.ts";
import { ControllerLink } from "./controller-link/link.ts";
import { Releases } from "./controller-link/releases.ts";
import { GuestGuard } from "./guard/guest-guard.ts";
import { HostGuard } from "./guard/host-guard.ts";
import { removeTable } from "./guard/rule-table.ts";
import { UnderlayGuard } from "./guard/underlay-guard.ts";
import { controllerReader } from "./identity/read.ts";
import type { Renewal } from "./identity/renewal.ts";
import type { Adoptable } from "./kernel/devices/adoption.ts";
import { BridgePorts } from "./kernel/devices/bridge-ports.ts";
import { NetworkDevices } from "./kernel/devices/network-devices.ts";
import { HostRuleTables } from "./kernel/filters/host-rule-tables.ts";
import { MissSocket } from "./kernel/sockets/miss-socket.ts";
import { RequestSocket } from "./kernel/sockets/request-socket.ts";
import { KernelTables } from "./kernel/tables/kernel-tables.ts";
import type { MetricsSources } from "./metrics/metrics.ts";
import { type AskedFor, MissResolver } from "./misses/resolver.ts";
import type { Timeline } from "./misses/timeline.ts";
import type { WaitingGuest } from "./misses/waiting.ts";
import { HostNetworks } from "./networks/host-networks.ts";
import { HostPorts } from "./networks/host-ports.ts";
import { PortRegister } from "./networks/port-register.ts";
import { Reporter } from "./reports/reporter.ts";
import { AnswerWriter } from "./session/answer-writer.ts";
import { AppliedPosition } from "./session/applied-position.ts";
import { FrameHandler } from "./session/frame-handler.ts";
import { MissOutcomes } from "./session/miss-outcomes.ts";
import type { StatusSources } from "./status/sources.ts";
import type { Caps } from "./tables/ageing.ts";
import type { Entry } from "./tables/entry.ts";
import { HeldAnswers } from "./tables/held.ts";
import { findConflict, type GuestFinding, meaningOf } from "./tables/local-guests.ts";
import { Crowding } from "./watch/crowding.ts";
import { Eviction } from "./watch/eviction.ts";
import { GuestWatch } from "./watch/guest-watch.ts";
import { HostFilter } from "./watch/host-filter.ts";
import { KernelWatch } from "./watch/kernel-watch.ts";

export interface AgentOptions {
  readonly controller: URL;
  /** Credentials for its connections. Absent: plain HTTP. */
  readonly renewal?: Renewal;
  readonly host: string;
  /** Absent: the address that the operator registered for this host. */
  readonly vtep?: VtepAddress;
  /** Send answers to waiting guests, and accept seeds for the way back. */
  readonly announce: boolean;
  /** Entries without traffic for this time are evicted; Infinity: none. */
  readonly idleMs: number;
  readonly caps: Caps;
  /** Drop frames of guests with addresses that are not registered for their port. */
  readonly antiSpoof: boolean;
  /** Accept tunnelled frames only from hosts of their networks. */
  readonly underlayFilter: boolean;
  /** Third-party vxlan devices that may serve a network here. */
  readonly adoptable: Adoptable;
}

const nowMs = (): number => performance.now();

export class Agent {
  private readonly requests = new RequestSocket();
  private readonly bridgePorts = new BridgePorts(this.requests);
  private readonly crowding = new Crowding({
    drops: () => this.misses?.drops() ?? 0,
    shutOut: (devices) => this.misses?.shutOut(devices),
    hearInstead: (vnis) => this.announcer?.hearInstead(vnis),
    began: (vni) => this.reportCrowd(vni),
    nowMs,
  });
  private readonly devices: NetworkDevices;
  private readonly tables: KernelTables;
  private readonly held: HeldAnswers;
  private readonly ports: HostPorts;
  private readonly announcer: Announcer | undefined;
  private readonly register: PortRegister;
  private readonly hostRules: HostRuleTables | undefined;
  private readonly hostGuard: HostGuard;
  private readonly guard: GuestGuard | undefined;
  private readonly underlay: UnderlayGuard | undefined;
  private readonly networks: HostNetworks;
  private readonly releases: Releases;
  private readonly programming: AnswerWriter;
  private readonly outcomes: MissOutcomes;
  private readonly progress: AppliedPosition;
  private readonly reporter: Reporter;
  private readonly resolver: MissResolver;
  private readonly session: FrameHandler;
  private readonly link: ControllerLink;
  private misses: MissSocket | undefined;
  private upkeep: KernelWatch | undefined;
  private filter: HostFilter | undefined;
  private guests: GuestWatch | undefined;
  private eviction: Eviction | undefined;
  private nextId = 1;

  constructor(
    private readonly options: AgentOptions,
    private readonly log: Logger,
  ) {
    const { host, vtep, announce, caps, controller } = options;
    const hostRules = HostRuleTables.open();
    const devices = new NetworkDevices(this.requests, { adoptable: options.adoptable, hostRules });
    const tables = new KernelTables(this.requests, devices.deviceOf);
    const send = (frame: AgentFrame): boolean => this.link.send(frame);
    const held = new HeldAnswers(caps);
    const announcer = announce ? new Announcer(this.announcing(held)) : undefined;
    const nextId = (): number => this.nextId++;
    const reporter = new Reporter({ isLive: () => this.link.isLive, send, nextId, nowMs });
    const hostGuard = new HostGuard({ tables: hostRules, reporter, log });
    const ports = new HostPorts({ devices, bridgePorts: this.bridgePorts, held, log });
    const register = new PortRegister({ held, devices, networks: () => this.networks, nowMs });
    const guard = options.antiSpoof ? new GuestGuard({ register, reporter, log }) : undefined;
    const underlay = options.underlayFilter
      ? new UnderlayGuard({
          port: () => this.networks.tunnelEnd?.vtepPort,
          bridges: () => this.networks.bridges(),
          reporter,
          log,
        })
      : undefined;
    const networks = new HostNetworks({
      devices,
      tables,
      held,
      announcer,
      ports,
      guards: [guard, underlay].filter((each) => each !== undefined),
      turns: new Slices(2, true),
      otherProblems: () => [
        ...hostGuard.problems,
        ...register.problems,
        ...(this.filter?.found ?? []).map(({ says, mend }) => `${says}; ${mend}`),
      ],
      reporter,
      log,
    });
    const releases = new Releases(send, nextId);
    const crowded = (): void => this.eviction?.hurry();
    this.devices = devices;
    this.ports = ports;
    this.tables = tables;
    this.held = held;
    this.announcer = announcer;
    this.register = register;
    this.hostRules = hostRules;
    this.hostGuard = hostGuard;
    this.guard = guard;
    this.underlay = underlay;
    this.reporter = reporter;
    this.networks = networks;
    this.releases = releases;
    this.outcomes = new MissOutcomes((vni) => networks.nameOf(vni), log);
    this.progress = new AppliedPosition({ networks, takeTimes: () => this.outcomes.times.take(), send });
    this.programming = new AnswerWriter({ held, networks, releases, announcer, crowded, nowMs });
    this.resolver = new MissResolver({
      lookUp: (key, now) => held.lookUp(key, now),
      listen: (vnis) => {
        for (const vni of vnis) announcer?.listen(vni);
      },
      askerOf: (vni, target) => announcer?.askerOf(vni, target),
      suspectIn: (vni) => announcer?.suspectIn(vni),
      ask: (questions) => this.ask(questions),
      overBudget: (vni, guest) => this.reportScan(vni, guest),
      reassert: (entries, misses) => this.reassert(entries, misses),
      afterReading: setImmediate,
      nowMs,
    });
    const { resolver, programming, outcomes, progress } = this;
    const identity = { host, ...(vtep ? { vtep } : {}), seeding: announce, senders: underlay !== undefined };
    const parts = { underlay, held, networks, resolver, releases, programming, outcomes, progress, reporter };
    const trust = (frame: Frame<"trust">): void => options.renewal?.onTrust(frame);
    this.session = new FrameHandler({ identity, ...parts, trust, log, nowMs });
    this.link = new ControllerLink(controller, () => options.renewal?.current, this.session, log);
  }

  /** Takes over devices and entries of an earlier run, then listens and connects. */
  async start(): Promise<void> {
    const { devices, tables, networks, ports, held, reporter, log } = this;
    await this.hostGuard.settle();
    if (!this.guard) await removeTable("bridge");
    if (!this.underlay) await removeTable("inet");
    const vnis = await devices.takeOver();
    const entries = (await Promise.all(vnis.map((vni) => tables.list(vni)))).flat().filter(({ own }) => own);
    this.session.inherit(entries.flatMap(({ entry }) => keyOfEntry(entry) ?? []));
    if (vnis.length > 0) log.info({ networks: vnis.length, entries: entries.length }, "took over earlier entries");
    this.misses = new MissSocket(devices.vniOf, (miss, ifindex) => {
      this.crowding.onMiss(miss, ifindex);
      if (miss.kind === "l3miss") this.announcer?.missed(miss.vni, miss.ip);
      this.resolver.onMiss(miss);
    });
    const missDrops = (): number => this.misses?.drops() ?? 0;
    const { random } = Math;
    this.upkeep = new KernelWatch({
      devices,
      networks,
      ports,
      bridgePorts: this.bridgePorts,
      register: this.register,
      held,
      missDrops,
      vtep: () => networks.vtep,
      reporter,
      log,
      nowMs,
      random,
    });
    await devices
      .closeToHost()
      .then(() => log.info("bridges and ports are closed towards this host"))
      .catch((error: unknown) => log.error({ err: error }, "bridges not closed towards this host: retrying soon"));
    this.filter = new HostFilter({ bridges: () => devices.bridges(), reporter, log });
    const onFinding = (finding: GuestFinding): void => this.reportGuest(finding);
    this.guests = new GuestWatch({ devices, bridgePorts: this.bridgePorts, networks, held, onFinding, nowMs });
    this.eviction = new Eviction({
      held,
      tables,
      idleMs: this.options.idleMs,
      canAskAgain: () => this.link.isLive,
      evict: (operations, released) => {
        void networks.write(operations);
        this.releases.release(released);
      },
      reporter,
      log,
      nowMs,
      random,
    });
    this.options.renewal?.start();
    this.link.start();
  }

  /** Stops all work. Devices and entries stay: the data path does not need the agent. */
  async stop(): Promise<void> {
    this.options.renewal?.stop();
    this.link.stop();
    this.crowding.close();
    this.announcer?.close();
    this.misses?.close();
    this.upkeep?.close();
    this.filter?.close();
    this.guests?.close();
    this.hostGuard.close();
    this.hostRules?.close();
    this.guard?.close();
    this.underlay?.close();
    this.eviction?.close();
    this.reporter.close();
    await this.networks.idle;
    this.requests.close();
    this.log.info({ misses: this.resolver.counters }, "stopped; devices and entries stay in place");
  }

  /** The data for `agent status` and `explain`. */
  get sources(): StatusSources {
    const { requests, devices, tables, networks, ports, held, resolver, announcer, progress, reporter } = this;
    const { recent } = this.outcomes;
    const parts = { requests, devices, tables, networks, ports, held, resolver, announcer, recent, reporter };
    return {
      ...parts,
      host: this.options.host,
      controller: this.options.controller,
      readController: controllerReader(this.options.controller, () => this.options.renewal?.current),
      position: () => ({ link: this.link.status, ...progress.position }),
      drops: () => ({ misses: this.misses?.drops() ?? 0, changes: this.upkeep?.changeDrops() ?? 0 }),
      aged: () => this.eviction?.aged ?? 0,
      thefts: () => this.upkeep?.thefts ?? 0,
      macFloods: () => this.upkeep?.macFloods ?? 0,
      guestFindings: () => this.guests?.findings ?? [],
      filterProblems: () => this.filter?.found ?? [],
      nowMs,
    };
  }

  /** The data for `--metrics`. */
  get metrics(): MetricsSources {
    return { ...this.sources, onMiss: (listener) => this.outcomes.subscribe(listener) };
  }

  private reportGuest({ kind, vni, mac, detail }: GuestFinding): void {
    if (!this.reporter.note({ kind, vni, subject: mac, detail })) return;
    this.log.warn({ network: this.networks.nameOf(vni), vni, mac, detail }, meaningOf[kind]);
  }

  private checkClaim(vni: Vni, claim: WaitingGuest): void {
    const finding = findConflict(vni, claim, this.held.find({ kind: "ip", vni, ip: claim.ip }));
    if (!finding || !this.reporter.note(finding)) return;
    this.log.warn({ network: this.networks.nameOf(vni), vni, ip: claim.ip, mac: claim.mac }, finding.detail);
  }

  private announcing(held: HeldAnswers): AnnouncerDependencies {
    return {
      requests: this.requests,
      isOpen: (vni, ip) => ["nothing", "absent"].includes(held.lookUp({ kind: "ip", vni, ip }, nowMs()).kind),
      missed: (vni, ip) => this.resolver.onMiss({ kind: "l3miss", vni, ip }),
      scanBegan: (vni, guest) => this.resolver.refuse(vni, guest),
      claimed: (vni, claim) => this.checkClaim(vni, claim),
      shutOut: (ifindexes) => this.crowding.onScans(ifindexes),
      nowMs,
    };
  }

  private ask(asked: readonly AskedFor[]): void {
    const questions = asked.map(({ key, asker }): Question => (asker ? { ...key, asker: asker.ip } : key));
    for (const part of chunk(questions)) this.link.send({ type: "resolve", id: this.nextId++, questions: part });
    for (const { key, asker } of asked) if (asker) this.announcer?.locate(key.vni, asker);
  }

  private reassert(entries: readonly Entry[], misses: readonly Timeline[]): void {
    void this.programming.reassert(entries).then((writtenMs) => this.outcomes.answeredFromMemory(misses, writtenMs));
  }

  private reportCrowd(vni: Vni): void {
    this.reporter.note({ kind: "scan", vni });
    this.log.warn(
      { network: this.networks.nameOf(vni), vni },
      "network crowds out others: its guests raise more misses than the agent can read; its misses are ignored for a while",
    );
  }

  private reportScan(vni: Vni, guest: MacAddress | undefined): void {
    if (guest) this.announcer?.ignore(vni, guest);
    if (!this.reporter.note({ kind: "scan", vni, ...(guest === undefined ? {} : { subject: guest }) })) return;
    this.log.warn(
      { network: this.networks.nameOf(vni), vni, guest },
      "scan: a guest queries more addresses than its budget allows; the others are dropped",
    );
  }
}

/** The key whose answer confirms an entry; a bridge entry shares that of the tunnel entry. */
function keyOfEntry(entry: Entry): BindingKey | undefined {
  if (entry.kind === "neighbour") return { kind: "ip", vni: entry.vni, ip: entry.ip };
  if (entry.kind === "tunnel") return { kind: "mac", vni: entry.vni, mac: entry.mac };
  return undefined;
}
