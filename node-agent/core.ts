// The core of the agent: its parts between the kernel, the controller and the clock, which are given. Only wiring: what starts by
// itself are timers, and `close` ends them.
import type { Logger } from "pino";
import type { Turns } from "../common/cooperative.ts";
import { defined } from "../common/defined.ts";
import type { VtepAddress } from "../schema/address/index.ts";
import { Announcer } from "./announce/announcer.ts";
import { Crowding, type CrowdingDependencies } from "./announce/crowding.ts";
import type { Frame } from "./controller-link/frame-assembly.ts";
import { Releases } from "./controller-link/releases.ts";
import type { Uplink } from "./controller-link/uplink.ts";
import { Reporter } from "./findings/reporter.ts";
import type { GuestEdge } from "./kernel/sockets/guest-sockets.ts";
import { MissResolver } from "./misses/resolver.ts";
import { EntryWriter } from "./networks/entry-writer.ts";
import { type Guard, HostNetworks, type NetworksDependencies } from "./networks/host-networks.ts";
import { HostPorts, type HostPortsDependencies } from "./networks/host-ports.ts";
import { PortRegister } from "./networks/port-register.ts";
import { RegisteredNetworks } from "./networks/registered-networks.ts";
import { AppliedPosition } from "./session/applied-position.ts";
import { FrameHandler, type SenderFilter } from "./session/frame-handler.ts";
import { Intake } from "./session/intake.ts";
import { MissOutcomes } from "./session/miss-outcomes.ts";
import { Replication } from "./session/replication.ts";
import { Usage } from "./session/usage.ts";
import type { Caps } from "./tables/ageing.ts";
import type { Tables } from "./tables/entry.ts";
import { HeldAnswers } from "./tables/held.ts";
import { Replicas } from "./tables/replicas.ts";
import { Eviction } from "./watch/eviction.ts";
import { GuestReports } from "./watch/guest-reports.ts";

/** What the core uses of the kernel (open-kernel.ts). */
export interface KernelEdges {
  readonly devices: NetworksDependencies["devices"] & HostPortsDependencies["devices"];
  readonly bridgePorts: HostPortsDependencies["bridgePorts"];
  readonly tables: Tables;
  readonly misses: CrowdingDependencies["misses"];
  /** Absent: waiting guests get no answers, and nothing is seeded. */
  readonly guests: GuestEdge | undefined;
}

/** Time, chance, and the turns of others. */
export interface Clock {
  nowMs(): number;
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
  readonly log: Logger;
}

export interface Guards {
  /** These follow the registered addresses. */
  readonly following: readonly Guard[];
  /** Absent without `--underlay-filter`. */
  readonly underlay: SenderFilter | undefined;
  /** These say what is wrong with the host around the networks. */
  readonly around: NetworksDependencies["around"];
}

export interface CoreOptions<HostGuards extends Guards> {
  readonly host: string;
  /** Absent: the address that the operator registered for this host. */
  readonly vtep?: VtepAddress;
  /** Entries without traffic for this time are evicted; Infinity: none. */
  readonly idleMs: number;
  readonly caps: Caps;
  readonly kernel: KernelEdges;
  readonly uplink: Uplink;
  readonly clock: Clock;
  /** Of whole networks in memory, together; default 256 MiB. */
  readonly maxReplicaBytes?: number;
  openGuards(parts: GuardedParts): HostGuards;
  /** What to check the controller with from now on. */
  trust(frame: Frame<"trust">): void;
  readonly log: Logger;
}

export type Core<HostGuards extends Guards = Guards> = ReturnType<typeof createCore<HostGuards>>;

export function createCore<HostGuards extends Guards>(options: CoreOptions<HostGuards>) {
  const { host, vtep, idleMs, caps, kernel, uplink, clock, trust, log } = options;
  const { devices, bridgePorts, tables, misses, guests } = kernel;
  const { nowMs, random, turns, afterReading, later } = clock;

  // What is known.
  const held = new HeldAnswers(caps);
  const registered = new RegisteredNetworks();
  const register = new PortRegister({ held, registered, devices, nowMs });
  const outcomes = new MissOutcomes(registered, log);
  const replicas = new Replicas({ random, ...defined({ maxBytes: options.maxReplicaBytes }) });

  // What the controller is told.
  const releases = new Releases(uplink);
  const reporter = new Reporter({ uplink, nowMs });
  const reports = new GuestReports({ held, registered, reporter, log });

  // What the kernel is told.
  const guards = options.openGuards({ registered, register, reporter, log });
  const announcer = guests && new Announcer({ guests, held, nowMs });
  const writer = new EntryWriter({ devices, tables, held, announcer, reporter, log, nowMs });
  const ports = new HostPorts({ devices, bridgePorts, held, log });
  const shared = { held, registered, writer, reporter, log };
  const around = [
    ...guards.around,
    register,
    {
      get problems() {
        return replication.problems;
      },
    },
  ];
  const networks = new HostNetworks({
    ...shared,
    devices,
    tables,
    announcer,
    ports,
    guards: guards.following,
    around,
    turns,
  });
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
  const intake = new Intake({ held, networks, releases, writer, crowded });
  const progress = new AppliedPosition({ networks, times: outcomes.times, uplink });
  const usage = new Usage({ held, uplink, later });
  const replication = new Replication({
    replicas,
    held,
    registered,
    intake,
    usage,
    askers: announcer,
    outcomes,
    progress,
    uplink,
    turns,
    nowMs,
  });
  const resolver = new MissResolver({
    held,
    replicas,
    askers: announcer,
    uplink,
    reassert: (entries, missed) =>
      void writer.reassert(entries).then((writtenMs) => outcomes.answeredFromMemory(missed, writtenMs)),
    answerHere: (answers, answered, unknown) => replication.answerHere(answers, answered, unknown),
    overBudget: reports.scanning,
    afterReading,
    nowMs,
  });
  announcer?.on("missed", resolver.onMiss);
  announcer?.on("scanBegan", resolver.refuse);
  announcer?.on("scanned", crowding.onScans);
  announcer?.on("claimed", reports.claimed);
  const { underlay } = guards;
  const identity = {
    host,
    ...(vtep ? { vtep } : {}),
    seeding: announcer !== undefined,
    senders: underlay !== undefined,
  };
  const session = new FrameHandler({
    ...shared,
    identity,
    networks,
    resolver,
    releases,
    outcomes,
    progress,
    underlay,
    intake,
    replication,
    uplink,
    trust,
    nowMs,
  });

  async function close(): Promise<void> {
    crowding.close();
    announcer?.close();
    eviction.close();
    reporter.close();
    await networks.idle;
  }

  const parts = {
    held,
    replicas,
    replication,
    registered,
    register,
    outcomes,
    releases,
    reporter,
    reports,
    guards,
    announcer,
    writer,
    ports,
  };
  return { ...parts, networks, eviction, crowding, resolver, progress, session, close };
}
