// Brings the networks of this host in line with the kernel, and decides when each is reconciled; network-reconciler.ts reconciles
// one network, registered-networks.ts has their set.
import { SerialQueue } from "../../common/serial-queue.ts";
import type { AgentNetwork, Vni } from "../../schema/address/index.ts";
import { conditionKey } from "../../schema/agent/index.ts";
import type { ConditionSource, HostCondition } from "../findings/condition.ts";
import type { LocalVtep } from "../kernel/devices/device-fit.ts";
import type { Survey } from "../kernel/devices/links.ts";
import type { NetworkDevices } from "../kernel/devices/network-devices.ts";
import { NetlinkError } from "../kernel/sockets/request-socket.ts";
import type { Broadcasts } from "./broadcasts.ts";
import type { Cause } from "./entry-reconciler.ts";
import type { HostPorts } from "./host-ports.ts";
import { NetworkReconciler, type NetworkReconcilerDependencies } from "./network-reconciler.ts";
import type { RegisteredNetworks } from "./registered-networks.ts";

/** Rules in the kernel beside the tables. */
export interface Guard extends ConditionSource {
  readonly settled: boolean;
  settle(): Promise<void>;
}

export interface NetworksDependencies extends NetworkReconcilerDependencies {
  readonly registered: RegisteredNetworks;
  readonly devices: NetworkReconcilerDependencies["devices"] &
    Pick<NetworkDevices, "vnis" | "epochOf" | "disown" | "hasLeftovers" | "sweep"> & {
      survey(): Survey | undefined;
    };
  readonly broadcasts: NetworkReconcilerDependencies["broadcasts"] & Pick<Broadcasts, "refresh">;
  readonly ports: NetworkReconcilerDependencies["ports"] & Pick<HostPorts, "hasChanged">;
  /** Rules that follow the registered addresses. */
  readonly guards: readonly Guard[];
  /** Of the host around the networks. */
  readonly around: readonly ConditionSource[];
}

export class HostNetworks {
  private readonly keeper: NetworkReconciler;
  private readonly requested = new Map<Vni, Cause>();
  private readonly portsRequested = new Set<Vni>();
  private guardRequested = false;
  /** Changes of devices run one after the other; entries of existing devices need not wait for them. */
  private readonly work = new SerialQueue("stop");

  constructor(private readonly deps: NetworksDependencies) {
    this.keeper = new NetworkReconciler(deps);
  }

  /** Repaired kernel entries, by the cause of the check. */
  get repairs(): ReadonlyMap<Cause, number> {
    return this.keeper.entries.repairs;
  }

  /** What an operator should fix: each once, since all networks may report the same cause. */
  get conditions(): HostCondition[] {
    const { guards, around, registered } = this.deps;
    const found = [
      ...this.keeper.conditions((vni) => registered.nameOf(vni)),
      ...[...guards, ...around].flatMap(({ conditions }) => conditions),
    ];
    return [...new Map(found.reverse().map((each) => [conditionKey(each), each])).values()].reverse();
  }

  /** The kernel has all entries that are held here. */
  get settled(): boolean {
    return this.keeper.unsettledVnis.length === 0 && this.deps.guards.every(({ settled }) => settled);
  }

  /** It has devices that were created for another store of the controller, so they stay. */
  keeps(vni: Vni): boolean {
    return !this.deps.registered.has(vni) && this.keeper.warnsOf(vni);
  }

  /**
   * The complete set of the store of `epoch`. Devices of other networks are deleted only if they were created for that store:
   * an empty or foreign store must never take a host down.
   * @param isNew the host was registered just now: its devices are of an earlier registration, perhaps under another name
   */
  replace(networks: readonly AgentNetwork[], epoch: string, isNew = false): Promise<void> {
    const { devices, registered } = this.deps;
    registered.replace(networks, epoch);
    this.keeper.forgetWarnings();
    const absent = devices.vnis().filter((vni) => !registered.has(vni));
    const gone = absent.filter((vni) => devices.epochOf(vni) === epoch);
    if (isNew) for (const vni of gone) void this.work.run(() => this.disown(vni));
    for (const vni of absent)
      if (isNew || !gone.includes(vni)) this.keeper.leaveOrphan(vni, isNew && gone.includes(vni));
    return this.follow(this.bring(isNew ? [] : gone, registered.vnis(), "session"));
  }

  /** As they were stored, at a start without a session: nothing is removed, since others may have come later. */
  recall(networks: readonly AgentNetwork[], epoch: string): Promise<void> {
    const { registered } = this.deps;
    registered.replace(networks, epoch);
    return this.follow(this.bring([], registered.vnis(), "start"));
  }

  /** Some networks changed, some left this host; a new tunnel end of this host concerns all. */
  change(networks: readonly AgentNetwork[], gone: readonly Vni[], local: LocalVtep | undefined): Promise<void> {
    const { registered } = this.deps;
    registered.change(networks, gone);
    if (local) registered.registeredEnd = local;
    return this.follow(this.bring(gone, local ? registered.vnis() : networks.map((network) => network.vni), "change"));
  }

  /** The hosts of networks have changed. */
  hostsChanged(): void {
    void this.deps.broadcasts.refresh();
    this.guard();
  }

  /** What depends on the registered networks, beside their devices and entries. */
  private async follow(brought: Promise<void>): Promise<void> {
    const copied = this.deps.broadcasts.refresh();
    this.guard();
    await Promise.all([brought, copied]);
  }

  /** Schedules a check of a network, or of all without `vni`. Causes that occur before it runs share one check. */
  look(cause: Cause, vni?: Vni): void {
    const { registered } = this.deps;
    const vnis = vni === undefined ? registered.vnis() : registered.has(vni) ? [vni] : [];
    const first = this.requested.size === 0;
    for (const each of vnis) {
      this.deps.writer.requestComparison(each);
      if (!this.requested.has(each)) this.requested.set(each, cause);
    }
    if (first && this.requested.size > 0) void this.work.run(() => this.settleRequested());
  }

  /** Schedules a check of a network's guest ports. Causes that occur before it runs share one check. */
  lookAtPorts(vni: Vni): void {
    if (!this.deps.registered.has(vni) || this.portsRequested.has(vni)) return;
    this.portsRequested.add(vni);
    void this.work.run(async () => {
      this.portsRequested.delete(vni);
      await this.settlePorts(vni);
    });
  }

  /** Answers were taken that may change guests of this host. */
  guestsMayHaveChanged(vnis: Iterable<Vni>): void {
    for (const vni of vnis) if (this.deps.ports.hasChanged(vni)) this.lookAtPorts(vni);
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

  /** A later session, or run, must not remove them either. */
  private async disown(vni: Vni): Promise<void> {
    try {
      await this.deps.devices.disown(vni);
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      this.deps.log.error({ vni, reason: error.message }, "devices of an earlier registration are not marked");
    }
  }

  private bring(gone: readonly Vni[], touched: readonly Vni[], cause: Cause): Promise<void> {
    if (gone.length === 0 && touched.length === 0) return Promise.resolve();
    for (const vni of touched) this.deps.writer.requestComparison(vni);
    return this.work.run(async () => {
      // It may have returned while this work waited.
      for (const vni of gone) if (!this.deps.registered.has(vni)) await this.keeper.remove(vni);
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

  private async settleRequested(): Promise<void> {
    const requested = [...this.requested];
    this.requested.clear();
    const survey = requested.length > 1 ? this.deps.devices.survey() : undefined;
    for (const [vni, cause] of requested) await this.settle(vni, cause, survey);
  }

  private async settle(vni: Vni, cause: Cause, survey?: Survey): Promise<void> {
    const { registered } = this.deps;
    const { tunnelEnd, epoch } = registered;
    const network = registered.find(vni);
    if (!network || !tunnelEnd) this.keeper.forgetRefusals(vni);
    else if (!(await this.keeper.settle(network, tunnelEnd, epoch, cause, survey))) this.look(cause, vni);
  }

  private async settlePorts(vni: Vni): Promise<void> {
    const network = this.deps.registered.find(vni);
    if (network && this.deps.registered.tunnelEnd) await this.keeper.settlePorts(network);
    else this.keeper.forgetRefusals(vni);
  }
}
