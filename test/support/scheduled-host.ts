// One host's agent without sockets: its own parts, connected as in `agent.ts`, on tables and devices in memory. A
// scheduler decides when operations take effect and return.
import type fc from "fast-check";
import { pino } from "pino";
import { SerialQueue } from "../../common/serial-queue.ts";
import { Releases } from "../../node-agent/controller-link/releases.ts";
import type { NetworkDevices } from "../../node-agent/kernel/devices/network-devices.ts";
import { MissResolver } from "../../node-agent/misses/resolver.ts";
import { HostNetworks, type NetworksDependencies } from "../../node-agent/networks/host-networks.ts";
import type { Reporter } from "../../node-agent/reports/reporter.ts";
import { AnswerWriter } from "../../node-agent/session/answer-writer.ts";
import { AppliedPosition } from "../../node-agent/session/applied-position.ts";
import { FrameHandler } from "../../node-agent/session/frame-handler.ts";
import { MissOutcomes } from "../../node-agent/session/miss-outcomes.ts";
import type { ActualEntry, Entry, Operation, OperationResult, Tables } from "../../node-agent/tables/entry.ts";
import { HeldAnswers } from "../../node-agent/tables/held.ts";
import type { AgentFrame, AgentNetwork, BindingKey, MacAddress, Question, Vni } from "../../schema/index.ts";
import { parseVtep } from "../../schema/index.ts";
import { FakeTables } from "./fake-tables.ts";

/** The state that outlives an agent: its host's devices and their tables. */
export class ScheduledKernel implements Tables {
  readonly epochs = new Map<Vni, string>();
  private readonly tables: FakeTables;
  /** The kernel carries out writes in the order in which they were sent. */
  private readonly writes = new SerialQueue("stop");

  constructor(private readonly scheduler: fc.Scheduler) {
    this.tables = new FakeTables({ has: (vni: Vni) => this.epochs.has(vni) } as ReadonlySet<Vni>);
  }

  /**
   * @param isWanted false by then: the agent that began it is dead. The kernel writes within a system call, so never
   * after that
   */
  apply(operations: readonly Operation[], isWanted: () => boolean = () => true): Promise<OperationResult[]> {
    const written = this.writes.run(async () => {
      await this.soon("write");
      return isWanted() ? this.tables.apply(operations) : [];
    });
    return written.then(async (results) => {
      await this.soon("acknowledgement");
      return results;
    });
  }

  /** Like the kernel's dumps: after earlier writes, neighbours and FDB one after the other, and stale on arrival. */
  async list(vni: Vni): Promise<ActualEntry[]> {
    await this.writes.idle;
    await this.soon("dump of neighbours");
    const neighbours = await this.tables.list(vni);
    await this.soon("dump of the FDB");
    const fdb = await this.tables.list(vni);
    await this.soon("end of the dump");
    return [
      ...neighbours.filter(({ entry }) => entry.kind === "neighbour"),
      ...fdb.filter(({ entry }) => entry.kind !== "neighbour"),
    ];
  }

  idleMs(vni: Vni): Promise<ReadonlyMap<MacAddress, number>> {
    return this.tables.idleMs(vni);
  }

  /** A foreign change, at once. */
  putForeign(entry: Entry): void {
    this.tables.putForeign(entry);
  }

  /** The present entries. */
  present(vni: Vni): Promise<ActualEntry[]> {
    return this.tables.list(vni);
  }

  async remove(vni: Vni): Promise<void> {
    const entries = await this.tables.list(vni);
    await this.tables.apply(entries.map(({ entry }): Operation => ({ verb: "delete", entry })));
    this.epochs.delete(vni);
  }

  soon(label: string): Promise<void> {
    return this.scheduler.schedule(Promise.resolve(), label);
  }
}

const deviceOf = (vni: Vni) => ({ ifindex: vni, bridgeIfindex: vni + 1, vni, vtepPort: 4789 });

/** One run of the agent, until it is killed: from then on nothing of it reaches the kernel or the controller. */
export class ScheduledAgent {
  readonly held = new HeldAnswers();
  readonly session: FrameHandler;
  private readonly resolver: MissResolver;
  private alive = true;
  private nextId = 1;
  private nowMs = 0;

  /** @param send false: there is no session */
  constructor(
    host: string,
    private readonly kernel: ScheduledKernel,
    send: (frame: AgentFrame) => boolean,
  ) {
    const { held } = this;
    const log = pino({ level: "silent" });
    const nowMs = (): number => this.nowMs;
    const nextId = (): number => this.nextId++;
    const reporter = { note: () => false, flush: () => {}, answered: () => {}, onClosed: () => {} };
    const devices = this.devices();
    const ports = { settle: async () => {}, release: async () => {}, hasChanged: () => false };
    const networks = new HostNetworks({
      devices,
      tables: { ...this.mortal(), idleMs: (vni) => kernel.idleMs(vni) },
      held,
      announcer: undefined,
      ports: ports as unknown as NetworksDependencies["ports"],
      guards: [],
      reporter,
      log,
      // Anything may happen between any two entries of a comparison.
      turns: { over: true, next: () => kernel.soon("turn") },
    });
    const releases = new Releases(send, nextId);
    const outcomes = new MissOutcomes((vni) => networks.nameOf(vni), log);
    const progress = new AppliedPosition({ networks, takeTimes: () => undefined, send });
    const programming = new AnswerWriter({ held, networks, releases, announcer: undefined, crowded: () => {}, nowMs });
    this.resolver = new MissResolver({
      lookUp: (key, now) => held.lookUp(key, now),
      listen: () => {},
      askerOf: () => undefined,
      suspectIn: () => undefined,
      ask: (asked) => {
        const questions = asked.map(({ key }): Question => key);
        send({ type: "resolve", id: nextId(), questions });
      },
      overBudget: () => {},
      reassert: (entries) => void programming.reassert(entries),
      afterReading: (callback) => void kernel.soon("misses read").then(() => this.alive && callback()),
      nowMs,
    });
    this.session = new FrameHandler({
      identity: { host, vtep: parseVtep("192.0.2.1"), seeding: true, senders: false },
      underlay: undefined,
      held,
      networks,
      resolver: this.resolver,
      releases,
      programming,
      outcomes,
      progress,
      reporter: reporter as unknown as Reporter,
      trust: () => {},
      log,
      nowMs,
    });
  }

  /** Takes over the entries of an earlier run. */
  async start(): Promise<void> {
    const present = await Promise.all([...this.kernel.epochs.keys()].map((vni) => this.kernel.present(vni)));
    const keys = present.flat().flatMap(({ entry, own }): BindingKey[] => {
      if (!own || entry.kind === "bridge") return [];
      return entry.kind === "neighbour"
        ? [{ kind: "ip", vni: entry.vni, ip: entry.ip }]
        : [{ kind: "mac", vni: entry.vni, mac: entry.mac }];
    });
    this.session.inherit(keys);
  }

  /** A guest's frame raised a miss. A minute after the last, so that nothing is quiet. */
  miss(key: BindingKey): void {
    this.nowMs += 60_000;
    const { vni } = key;
    this.resolver.onMiss(
      key.kind === "ip" ? { kind: "l3miss", vni, ip: key.ip } : { kind: "l2miss", vni, mac: key.mac },
    );
  }

  kill(): void {
    this.alive = false;
  }

  /** Operations that a dead process has started take effect before its death or not at all; it receives no results. */
  private mortal(): Pick<Tables, "apply" | "list"> {
    const never = new Promise<never>(() => {});
    return {
      apply: (operations) =>
        this.kernel.apply(operations, () => this.alive).then((results) => (this.alive ? results : never)),
      list: (vni) => this.kernel.list(vni).then((entries) => (this.alive ? entries : never)),
    };
  }

  private devices(): NetworkDevices {
    const { kernel } = this;
    const devices = {
      hasLeftovers: false,
      deviceOf: (vni: Vni) => (kernel.epochs.has(vni) ? deviceOf(vni) : undefined),
      vnis: () => [...kernel.epochs.keys()],
      epochOf: (vni: Vni) => kernel.epochs.get(vni),
      adoptedFor: () => undefined,
      sweep: async () => {},
      ensure: async ({ vni }: AgentNetwork, _: unknown, epoch: string) => {
        await kernel.soon("devices made");
        if (!this.alive) return new Promise<never>(() => {});
        kernel.epochs.set(vni, epoch);
        return [];
      },
      remove: async (vni: Vni) => {
        await kernel.soon("devices removed");
        if (this.alive) await kernel.remove(vni);
      },
    };
    return devices as unknown as NetworkDevices;
  }
}
