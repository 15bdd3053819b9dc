// The core of the agent: its parts between the kernel, the controller and the clock, which are given. Only wiring: what starts by
// itself are timers, and `close` ends them.
import type { Logger } from "pino";
import type { Turns } from "../common/cooperative.ts";
import { defined } from "../common/defined.ts";
import { Paced } from "../common/paced.ts";
import type { VtepAddress } from "../schema/address/index.ts";
import { Announcer } from "./announce/announcer.ts";
import { Crowding, type CrowdingDependencies } from "./announce/crowding.ts";
import type { Frame } from "./controller-link/frame-assembly.ts";
import { Releases } from "./controller-link/releases.ts";
import type { Uplink } from "./controller-link/uplink.ts";
import { ConditionReporter } from "./findings/condition-reporter.ts";
import { Reporter } from "./findings/reporter.ts";
import type { Routes } from "./kernel/devices/routes.ts";
import type { GuestEdge } from "./kernel/sockets/guest-sockets.ts";
import { MissResolver, type ThreadAllowance } from "./misses/resolver.ts";
import { ServedNetworks, type ServedNetworksDependencies } from "./misses/served-networks.ts";
import { Broadcasts } from "./networks/broadcasts.ts";
import { EntryWriter } from "./networks/entry-writer.ts";
import { type Guard, HostNetworks, type NetworksDependencies } from "./networks/host-networks.ts";
import { HostPorts, type HostPortsDependencies } from "./networks/host-ports.ts";
import { PortRegister } from "./networks/port-register.ts";
import { RegisteredNetworks } from "./networks/registered-networks.ts";
import { AppliedPosition } from "./session/applied-position.ts";
import { AwaitedGuests } from "./session/awaited-guests.ts";
import { FrameHandler } from "./session/frame-handler.ts";
import { MissOutcomes } from "./session/miss-outcomes.ts";
import { Recall } from "./session/recall.ts";
import { Replication } from "./session/replication.ts";
import { StoredState, type StoredStateOptions } from "./session/stored-state.ts";
import { Usage } from "./session/usage.ts";
import type { Caps } from "./tables/ageing.ts";
import { defaultCopiesPerSecond } from "./tables/broadcast.ts";
import type { Tables } from "./tables/entry.ts";
import { GroupTables } from "./tables/group-tables.ts";
import { GuestAllowances } from "./tables/guest-allowances.ts";
import { HeldAnswers } from "./tables/held.ts";
import { HostTables } from "./tables/host-tables.ts";
import { Replicas } from "./tables/replicas.ts";
import { AddressTakeovers, type AddressTakeoversDependencies } from "./watch/address-takeovers.ts";
import { Eviction } from "./watch/eviction.ts";
import { type GroupEdges, GroupWatch } from "./watch/group-watch.ts";
import { GuestReports } from "./watch/guest-reports.ts";
import { TunnelEndsInUse } from "./watch/tunnel-ends-in-use.ts";
import { UnderlayRoutes } from "./watch/underlay-routes.ts";

/** What the core uses of the kernel (open-kernel.ts). */
export interface KernelEdges {
  readonly devices: NetworksDependencies["devices"] & HostPortsDependencies["devices"];
  readonly bridgePorts: HostPortsDependencies["bridgePorts"];
  readonly tables: Tables;
  readonly misses: CrowdingDependencies["misses"];
  /** Absent: waiting guests get no answers, and nothing is seeded. */
  readonly guests: GuestEdge | undefined;
  /** To what the guest behind a port says about addresses; absent: no guest takes any. */
  readonly listen?: AddressTakeoversDependencies["listen"];
  /** To the multicast groups that guests join; absent: none is known. */
  readonly groups?: GroupEdges;
  /** To the tunnel ends of other hosts; absent: the VTEP's link decides on MTUs. */
  readonly routes?: Pick<Routes, "canAsk" | "find">;
  /** Answers misses of networks in memory by itself; absent: the main thread answers all. */
  readonly missThread?: (ThreadAllowance & ServedNetworksDependencies["thread"] & Fence) | undefined;
}

interface Fence {
  /** Resolves when all answers that were begun before have been counted. */
  fence(): Promise<void>;
}

/** Time, chance, and the turns of others. */
export interface Clock {
  nowMs(): number;
  /** ms since 1970. */
  wallMs(): number;
  /** In [0, 1). */
  random(): number;
  readonly turns: Turns;
  /** Runs after all queued misses have been read. */
  afterReading(callback: () => void): void;
  /** After `ms`, unless the process ends before. */
  later(ms: number, callback: () => void): void;
}

/** What guards follow, and report to. */
export interface GuardedParts {
  readonly registered: RegisteredNetworks;
  readonly register: PortRegister;
  readonly reporter: Reporter;
  /** The tunnel ends of other hosts that are in use. */
  readonly vteps: () => readonly VtepAddress[];
  readonly hostTables: HostTables;
  readonly broadcasts: Broadcasts;
  readonly log: Logger;
  nowMs(): number;
}

export interface Guards {
  /** These follow the registered addresses. */
  readonly following: readonly Guard[];
  /** Absent without `--underlay-filter`. */
  readonly underlay: Guard | undefined;
  /** These say what is wrong with the host around the networks. */
  readonly around: NetworksDependencies["around"];
  /** Other tunnel ends are in use than before. */
  onVteps?(): void;
}

export interface CoreOptions<HostGuards extends Guards> {
  readonly host: string;
  /** Absent: the address that the operator registered for this host. */
  readonly vtep?: VtepAddress;
  /** Absent: the registered one. */
  readonly localVtep?: VtepAddress;
  /** Entries without traffic for this time are evicted; Infinity: none. */
  readonly idleMs: number;
  readonly caps: Caps;
  readonly kernel: KernelEdges;
  readonly uplink: Uplink;
  readonly clock: Clock;
  /** Of whole networks in memory, together; default 256 MiB. */
  readonly maxReplicaBytes?: number;
  /** How long they answer without a session, ms; default: without a limit. */
  readonly maxStaleMs?: number;
  /** That the broadcasts of one guest may become; default `defaultCopiesPerSecond`. */
  readonly copiesPerSecond?: number;
  /** What this host knows is kept there for a start without a controller; absent: nowhere. */
  readonly store?: StoredStateOptions;
  openGuards(parts: GuardedParts): HostGuards;
  /** What to check the controller with from now on. */
  trust(frame: Frame<"trust">): void;
  readonly log: Logger;
}

/** Entries and rules of groups are written at most so often, ms. */
const groupPauseMs = 200;

export type Core<HostGuards extends Guards = Guards> = ReturnType<typeof createCore<HostGuards>>;

export function createCore<HostGuards extends Guards>(options: CoreOptions<HostGuards>) {
  const { host, vtep, idleMs, caps, kernel, uplink, clock, trust, log } = options;
  const { devices, bridgePorts, tables, misses, guests, missThread } = kernel;
  const { nowMs, wallMs, random, turns, afterReading, later } = clock;

  // What is known.
  const inUse = new TunnelEndsInUse();
  const held = new HeldAnswers(caps, inUse.changed);
  const registered = new RegisteredNetworks(options.localVtep);
  const routes: UnderlayRoutes | undefined =
    kernel.routes &&
    new UnderlayRoutes({
      routes: kernel.routes,
      held,
      registered,
      onMtu: (vni) => networks.look("device", vni),
      log,
      nowMs,
    });
  const hostTables = new HostTables(host);
  const groupTables = new GroupTables();
  if (routes) inUse.attend(routes.lookSoon);
  const register = new PortRegister({ held, registered, devices, nowMs });
  const outcomes = new MissOutcomes(registered, log);
  const replicas: Replicas = new Replicas({
    random,
    onShared: (vni) => served?.onTable(vni),
    ...defined({ maxBytes: options.maxReplicaBytes, maxStaleMs: options.maxStaleMs }),
  });

  // What the controller is told.
  const releases = new Releases(uplink);
  const reporter = new Reporter({ uplink, noted: () => conditions.lookSoon(), nowMs });
  const allowances = new GuestAllowances();
  const { listen } = kernel;
  const send = guests && ((frame: Buffer, ifindex: number) => guests.sender.send(frame, ifindex));
  const takeovers = new AddressTakeovers({ register, registered, held, allowances, listen, send, uplink, log, nowMs });
  const groups = new GroupWatch({ registered, devices, edges: kernel.groups, uplink, log, nowMs });
  const reports = new GuestReports({ held, registered, reporter, allowances, log, nowMs });

  // What the kernel is told.
  const broadcasts: Broadcasts = new Broadcasts({
    registered,
    hostTables,
    groupTables,
    devices,
    copiesPerSecond: options.copiesPerSecond ?? defaultCopiesPerSecond,
    write: (operations) => writer.write(operations),
    look: (vni) => networks.look("change", vni),
    nowMs,
  });
  const guards: HostGuards = options.openGuards({
    registered,
    register,
    reporter,
    hostTables,
    broadcasts,
    vteps: () => [...new Set(registered.vnis().flatMap((vni) => held.vtepsOf(vni)))],
    log,
    nowMs,
  });
  if (guards.onVteps) inUse.attend(guards.onVteps);
  const announcer = guests && new Announcer({ guests, held, nowMs });
  const writer = new EntryWriter({ devices, tables, held, announcer, reporter, log, nowMs });
  const ports = new HostPorts({ devices, bridgePorts, held, registered, log });
  const shared = { held, registered, writer, reporter, broadcasts, log };
  const around = [
    ...guards.around,
    ...(routes ? [routes] : []),
    register,
    broadcasts,
    {
      get conditions() {
        return [...replication.conditions, ...(stored?.conditions ?? [])];
      },
    },
  ];
  const networks: HostNetworks = new HostNetworks({
    ...shared,
    devices,
    tables,
    announcer,
    ports,
    guards: [...guards.following, takeovers, groups],
    around,
    routes,
    turns,
  });
  const groupsChanged = new Paced(groupPauseMs, () => networks.hostsChanged(), clock);
  const conditions = new ConditionReporter({ uplink, sources: [networks, reports], nowMs });
  const eviction = new Eviction({
    ...shared,
    tables,
    releases,
    uplink,
    keepsIdle: (vni) => replication.isPrefetched(vni),
    idleMs,
    nowMs,
    random,
  });
  const crowding = new Crowding({ misses, announcer, began: reports.crowding, nowMs });

  // From a miss to a query, and from a frame to what it changes.
  const crowded = () => eviction.hurry();
  const settleThread = () =>
    missThread
      ?.fence()
      .then(() => resolver.decide())
      .then(() => writer.corrected);
  const progress = new AppliedPosition({
    networks,
    conditions,
    times: outcomes.times,
    uplink,
    // What the thread has written by an earlier table is corrected by then.
    fence: settleThread,
  });
  const usage = new Usage({ held, uplink, later });
  const replication = new Replication({
    replicas,
    held,
    registered,
    take: (answers, occasion) => session.take(answers, occasion),
    usage,
    askers: announcer,
    outcomes,
    progress,
    uplink,
    turns,
    nowMs,
    wallMs,
  });
  const resolver = new MissResolver({
    held,
    replicas,
    askers: announcer,
    uplink,
    reassert: (entries, missed) =>
      void writer.reassert(entries).then((writtenMs) => outcomes.answeredFromMemory(missed, writtenMs)),
    answerHere: (answers, answered, unknown) => replication.answerHere(answers, answered, unknown),
    thread: missThread,
    correct: (answers) => writer.correct(answers),
    overBudget: reports.scanning,
    afterReading,
    nowMs,
  });
  const served = missThread && new ServedNetworks({ thread: missThread, replicas, grant: resolver.grant });
  if (served) announcer?.on("attended", served.onDevice);
  if (served) announcer?.on("left", served.onDeviceGone);
  announcer?.on("missed", resolver.onMiss);
  announcer?.on("scanBegan", resolver.refuse);
  announcer?.on("scanned", crowding.onScans);
  announcer?.on("claimed", reports.claimed);
  const awaited = new AwaitedGuests({ register, take: (answers) => void session.take(answers, "asked") });
  const { store } = options;
  const kept = { host, held, registered, replicas, progress, hostTables, log, wallMs };
  const stored = store && new StoredState({ ...store, ...kept, uplink, later });
  const recall = store && stored && new Recall({ ...kept, ...store, stored, networks, awaited, replication, nowMs });
  const identity = {
    host,
    ...(vtep ? { vtep } : {}),
    seeding: announcer !== undefined,
    senders: guards.underlay !== undefined,
  };
  const session = new FrameHandler({
    ...shared,
    identity,
    networks,
    resolver,
    releases,
    outcomes,
    progress,
    hostTables,
    groupTables,
    groups,
    groupsChanged: () => groupsChanged.ask(),
    crowded,
    replication,
    conditions,
    awaited,
    stored,
    takeovers,
    uplink,
    trust,
    nowMs,
  });

  async function close(): Promise<void> {
    routes?.close();
    takeovers.close();
    groups.close();
    groupsChanged.stop();
    crowding.close();
    announcer?.close();
    eviction.close();
    reporter.close();
    conditions.close();
    await networks.idle;
    await stored?.close();
  }

  const parts = {
    held,
    replicas,
    replication,
    registered,
    hostTables,
    groupTables,
    groups,
    broadcasts,
    register,
    routes,
    outcomes,
    releases,
    reporter,
    reports,
    takeovers,
    conditions,
    guards,
    announcer,
    writer,
    ports,
    settleThread,
    awaited,
    stored,
    recall,
  };
  return { ...parts, networks, eviction, crowding, resolver, progress, session, close };
}
