// Reconciles one network of this host with the kernel: its devices and its held entries. Refusals are remembered, retried and
// reported. host-networks.ts has the set of networks and decides when they are reconciled.
import type { AgentNetwork, Vni } from "../../schema/address/index.ts";
import type { Announcer } from "../announce/announcer.ts";
import type { LocalVtep } from "../kernel/devices/device-fit.ts";
import { bridgeName, vxlanName } from "../kernel/devices/device-names.ts";
import { DeviceError, type DeviceWarning } from "../kernel/devices/device-problems.ts";
import type { NetworkDevices } from "../kernel/devices/network-devices.ts";
import { NetlinkError } from "../kernel/sockets/request-socket.ts";
import { type Cause, EntryReconciler, type EntryReconcilerDependencies } from "./entry-reconciler.ts";
import type { HostPorts } from "./host-ports.ts";

export interface NetworkReconcilerDependencies extends EntryReconcilerDependencies {
  readonly devices: Pick<NetworkDevices, "deviceOf" | "ensure" | "remove" | "adoptedFor">;
  readonly announcer: Pick<Announcer, "attend" | "leave"> | undefined;
  readonly ports: Pick<HostPorts, "settle" | "release">;
}

export class NetworkReconciler {
  readonly entries: EntryReconciler;
  private readonly warnings = new Map<Vni, readonly string[]>();
  /** Networks whose check could not be completed. */
  private readonly failed = new Set<Vni>();

  constructor(private readonly deps: NetworkReconcilerDependencies) {
    this.entries = new EntryReconciler(deps);
  }

  /** Problems that an operator should fix. */
  problems(nameOf: (vni: Vni) => string | undefined): string[] {
    const refusals = [...this.deps.writer.refusals].map(
      ([vni, reason]) => `network ${nameOf(vni) ?? vni}: the kernel does not take all entries: ${reason}`,
    );
    return [...[...this.warnings.values()].flat(), ...refusals];
  }

  /** Networks that are not known to be in sync. */
  get unsettledVnis(): readonly Vni[] {
    return [...new Set([...this.failed, ...this.deps.writer.refusals.keys()])];
  }

  warnsOf(vni: Vni): boolean {
    return this.warnings.has(vni);
  }

  /** A new complete set of networks follows. */
  forgetWarnings(): void {
    this.warnings.clear();
  }

  /** Devices that were created for another store of the controller: they stay, and the problem says how to delete them. */
  leaveOrphan(vni: Vni): void {
    const { devices, log } = this.deps;
    const adopted = devices.adoptedFor(vni);
    const warning = adopted
      ? `VNI ${vni}: the adopted device ${adopted.name} has entries of an earlier agent, and the controller has no VM of it on ` +
        `this host: they stay; delete those with proto 78 (ip neigh show dev ${adopted.name}) and extern_learn (bridge fdb show dev ${adopted.name})`
      : `VNI ${vni} has devices here that were made for another store of the controller, and this one has no VM of it on ` +
        `this host: they stay; remove them with ip link del ${vxlanName(vni)}; ip link del ${bridgeName(vni)}`;
    this.warnings.set(vni, [warning]);
    log.warn({ vni }, warning);
  }

  /** @returns false if its entries must be checked again, because its answers were replaced during the check */
  async settle(network: AgentNetwork, local: LocalVtep, epoch: string, cause: Cause): Promise<boolean> {
    let whole = true;
    await this.attempt(network, async () => {
      await this.settleDevices(network, local, epoch);
      whole = await this.entries.settle(network, cause);
      if (whole) this.failed.delete(network.vni);
      await this.deps.ports.settle(network.vni);
    });
    return whole;
  }

  settlePorts(network: AgentNetwork): Promise<void> {
    return this.attempt(network, () => this.deps.ports.settle(network.vni));
  }

  /** Devices and entries, as far as they are the agent's. */
  async remove(vni: Vni): Promise<void> {
    this.warnings.delete(vni);
    this.forgetRefusals(vni);
    this.deps.announcer?.leave(vni);
    try {
      await this.deps.ports.release(vni);
      if (this.deps.devices.adoptedFor(vni)) await this.entries.clear(vni);
      await this.deps.devices.remove(vni);
      this.deps.log.info({ vni }, "network removed: its last VM left this host");
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      this.deps.log.error({ vni, reason: error.message }, "network not removed");
    }
  }

  /** It left this host, or is checked again. */
  forgetRefusals(vni: Vni): void {
    this.failed.delete(vni);
    this.deps.writer.forget(vni);
  }

  /** If the kernel refuses or a device is in the way, the network stays unsettled and has a problem. */
  private async attempt(network: AgentNetwork, work: () => Promise<void>): Promise<void> {
    const { vni, name } = network;
    try {
      await work();
    } catch (error) {
      if (!(error instanceof DeviceError) && !(error instanceof NetlinkError)) throw error;
      this.failed.add(vni);
      this.warnings.set(vni, [`network ${name}: ${error.message}`]);
      this.deps.log.error({ network: name, vni, reason: error.message }, "network not ready");
      this.deps.reporter.note({ kind: "network-not-ready", vni, detail: error.message });
    }
  }

  private async settleDevices(network: AgentNetwork, local: LocalVtep, epoch: string): Promise<void> {
    const { devices, announcer, log } = this.deps;
    const { vni, name } = network;
    const before = devices.deviceOf(vni)?.ifindex;
    const warnings = await devices.ensure(network, local, epoch);
    const device = devices.deviceOf(vni);
    if (device) announcer?.attend(vni, device.bridgeIfindex, device.ifindex);
    const told = this.warnings.get(vni) ?? [];
    for (const warning of warnings) if (!told.includes(warning.says)) this.warn(network, warning);
    this.warnings.set(
      vni,
      warnings.map(({ says }) => says),
    );
    if (before !== device?.ifindex) {
      const adopted = devices.adoptedFor(vni);
      const { bridge = bridgeName(vni), name: vxlan = vxlanName(vni) } = adopted ?? {};
      log.info({ network: name, vni, bridge, vxlan, ...(adopted ? { adopted: true } : {}) }, "network ready");
    }
  }

  private warn({ vni, name }: AgentNetwork, { kind, subject, says }: DeviceWarning): void {
    const { reporter, log } = this.deps;
    log.warn({ network: name, vni }, says);
    // The tunnel end is that of all networks.
    reporter.note({ kind, subject, detail: says, ...(kind === "vtep-missing" ? {} : { vni }) });
  }
}
