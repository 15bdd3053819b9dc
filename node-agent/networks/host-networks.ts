// The networks of this host, and when each is reconciled. All writes go through this file; network-reconciler.ts reconciles one
// network.
import { SerialQueue } from "../../common/serial-queue.ts";
import type { AgentNetwork, Vni, VtepAddress } from "../../schema/address/index.ts";
import type { LocalVtep } from "../kernel/devices/device-fit.ts";
import { bridgeName } from "../kernel/devices/device-names.ts";
import { NetlinkError } from "../kernel/sockets/request-socket.ts";
import type { Operation, OperationResult } from "../tables/entry.ts";
import type { Cause } from "./entry-reconciler.ts";
import { NetworkReconciler, type NetworkReconcilerDependencies } from "./network-reconciler.ts";

/** Rules in the kernel beside the tables. */
export interface Guard {
  /** Problems that an operator should fix. */
  readonly problems: readonly string[];
  readonly settled: boolean;
  settle(): Promise<void>;
}

export interface NetworksDependencies extends NetworkReconcilerDependencies {
  /** Rules that follow the registered addresses. */
  readonly guards: readonly Guard[];
  /** Of the host around the networks. */
  readonly otherProblems?: () => readonly string[];
}

export class HostNetworks {
  private readonly keeper: NetworkReconciler;
  private readonly networks = new Map<Vni, AgentNetwork>();
  private readonly requested = new Map<Vni, Cause>();
  private readonly portsRequested = new Set<Vni>();
  private guardRequested = false;
  private local: LocalVtep | undefined;
  private epoch = "";
  /** Changes of devices run one after the other; entries of existing devices need not wait for them. */
  private readonly work = new SerialQueue("stop");

  constructor(private readonly deps: NetworksDependencies) {
    this.keeper = new NetworkReconciler(deps);
  }

  /** Repaired kernel entries, by the cause of the check. */
  get repairs(): ReadonlyMap<Cause, number> {
    return this.keeper.entries.repairs;
  }

  /** Problems that an operator should fix. */
  get problems(): string[] {
    // All networks may report the same cause.
    return [
      ...new Set([
        ...this.keeper.problems((vni) => this.nameOf(vni)),
        ...this.deps.guards.flatMap(({ problems }) => problems),
        ...(this.deps.otherProblems?.() ?? []),
      ]),
    ];
  }

  /** The kernel has all entries that are held here. */
  get settled(): boolean {
    return this.keeper.unsettledVnis.length === 0 && this.deps.guards.every(({ settled }) => settled);
  }

  get size(): number {
    return this.networks.size;
  }

  /** This host's tunnel end, once the controller has sent it. */
  get vtep(): VtepAddress | undefined {
    return this.local?.vtep;
  }

  /** It has devices that were created for another store of the controller, so they stay. */
  keeps(vni: Vni): boolean {
    return !this.networks.has(vni) && this.keeper.warnsOf(vni);
  }

  /** The registered network, once the controller has sent it. */
  get tunnelEnd(): LocalVtep | undefined {
    return this.local;
  }

  /** The networks that have a VM on this host. */
  list(): AgentNetwork[] {
    return [...this.networks.values()];
  }

  nameOf(vni: Vni): string | undefined {
    return this.networks.get(vni)?.name;
  }

  /** This host's tunnel end, as registered: all networks follow. */
  setLocal(local: LocalVtep): void {
    this.local = local;
  }

  /**
   * The complete set of the store of `epoch`. Devices of other networks are deleted only if they were created for that store:
   * an empty or foreign store must never take a host down.
   */
  replace(networks: readonly AgentNetwork[], epoch: string): Promise<void> {
    const { devices } = this.deps;
    this.epoch = epoch;
    this.networks.clear();
    this.keeper.forgetWarnings();
    for (const network of networks) this.networks.set(network.vni, network);
    const absent = devices.vnis().filter((vni) => !this.networks.has(vni));
    const gone = absent.filter((vni) => devices.epochOf(vni) === epoch);
    for (const vni of absent) if (!gone.includes(vni)) this.keeper.leaveOrphan(vni);
    const brought = this.bring(gone, [...this.networks.keys()], "session");
    this.guard();
    return brought;
  }

  /** Some networks changed, some left this host; a new tunnel end of this host concerns all. */
  change(networks: readonly AgentNetwork[], gone: readonly Vni[], local: LocalVtep | undefined): Promise<void> {
    for (const network of networks) this.networks.set(network.vni, network);
    for (const vni of gone) this.networks.delete(vni);
    if (local) this.local = local;
    const brought = this.bring(
      gone,
      local ? [...this.networks.keys()] : networks.map((network) => network.vni),
      "change",
    );
    this.guard();
    return brought;
  }

  /** Schedules a check of a network, or of all without `vni`. Causes that occur before it runs share one check. */
  look(cause: Cause, vni?: Vni): void {
    const vnis = vni === undefined ? this.networks.keys() : this.networks.has(vni) ? [vni] : [];
    const first = this.requested.size === 0;
    for (const each of vnis) if (!this.requested.has(each)) this.requested.set(each, cause);
    if (first && this.requested.size > 0) void this.work.run(() => this.settleRequested());
  }

  /** Schedules a check of a network's guest ports. Causes that occur before it runs share one check. */
  lookAtPorts(vni: Vni): void {
    if (!this.networks.has(vni) || this.portsRequested.has(vni)) return;
    this.portsRequested.add(vni);
    void this.work.run(async () => {
      this.portsRequested.delete(vni);
      await this.settlePorts(vni);
    });
  }

  /** Answers were taken that may change ports of guests. */
  guestsMayHaveChanged(vnis: Iterable<Vni>): void {
    for (const vni of new Set(vnis)) if (this.deps.ports.hasChanged(vni)) this.lookAtPorts(vni);
    this.guard();
  }

  /** Deletes bridges that were left because of a guest's port, once they have none. */
  sweep(): void {
    const { devices, log } = this.deps;
    if (!devices.hasLeftovers) return;
    void this.work.run(async () => {
      try {
        await devices.sweep();
      } catch (error) {
        if (!(error instanceof NetlinkError)) throw error;
        log.warn({ reason: error.message }, "a bridge that is no longer needed was not removed");
      }
    });
  }

  /** Retries the unsettled networks. */
  retry(): Promise<unknown> {
    for (const vni of this.keeper.unsettledVnis) this.look("refused", vni);
    if (!this.deps.guards.every(({ settled }) => settled)) this.guard();
    return this.idle;
  }

  /** Resolves when the work that is queued now is done. */
  get idle(): Promise<unknown> {
    return this.work.idle;
  }

  /** @see EntryReconciler.write */
  write(operations: readonly Operation[]): Promise<OperationResult[]> {
    return this.keeper.entries.write(operations);
  }

  private bring(gone: readonly Vni[], touched: readonly Vni[], cause: Cause): Promise<void> {
    if (gone.length === 0 && touched.length === 0) return Promise.resolve();
    return this.work.run(async () => {
      // It may have returned while this work waited.
      for (const vni of gone) if (!this.networks.has(vni)) await this.keeper.remove(vni);
      for (const vni of touched) await this.settle(vni, cause);
    });
  }

  /** Schedules an update of the rules for this host's guests. Changes that occur before it runs share one update. */
  guard(): void {
    const { guards } = this.deps;
    if (guards.length === 0 || this.guardRequested) return;
    this.guardRequested = true;
    void this.work.run(async () => {
      this.guardRequested = false;
      for (const guard of guards) await guard.settle();
    });
  }

  /** Names of the existing bridges. */
  bridges(): string[] {
    const standing = this.list().filter(({ vni }) => this.deps.devices.deviceOf(vni) !== undefined);
    return standing.map(({ vni }) => this.deps.devices.adoptedFor(vni)?.bridge ?? bridgeName(vni));
  }

  private async settleRequested(): Promise<void> {
    const requested = [...this.requested];
    this.requested.clear();
    for (const [vni, cause] of requested) await this.settle(vni, cause);
  }

  private async settle(vni: Vni, cause: Cause): Promise<void> {
    const network = this.networks.get(vni);
    if (!network || !this.local) this.keeper.forgetRefusals(vni);
    else if (!(await this.keeper.settle(network, this.local, this.epoch, cause))) this.look(cause, vni);
  }

  private async settlePorts(vni: Vni): Promise<void> {
    const network = this.networks.get(vni);
    if (network && this.local) await this.keeper.settlePorts(network);
    else this.keeper.forgetRefusals(vni);
  }
}
