// Reconciles one network of this host with the kernel: its devices and its held entries. Refusals are remembered, retried and
// reported. host-networks.ts has the set of networks and decides when they are reconciled.
import type { AgentNetwork, Vni } from "../../schema/address/index.ts";
import { conditionName, isFindingKind } from "../../schema/agent/index.ts";
import type { Announcer } from "../announce/announcer.ts";
import { asCondition, type HostCondition } from "../findings/condition.ts";
import type { LocalVtep, RoutedMtu } from "../kernel/devices/device-fit.ts";
import { bridgeName, vxlanName } from "../kernel/devices/device-names.ts";
import { DeviceError, type DeviceWarning, hidingEntries } from "../kernel/devices/device-problems.ts";
import type { Survey } from "../kernel/devices/links.ts";
import type { NetworkDevices } from "../kernel/devices/network-devices.ts";
import { NetlinkError } from "../kernel/sockets/request-socket.ts";
import { unanswered } from "../tables/entry.ts";
import { type Cause, EntryReconciler, type EntryReconcilerDependencies } from "./entry-reconciler.ts";
import type { Refused } from "./entry-writer.ts";
import type { HostPorts } from "./host-ports.ts";

export interface NetworkReconcilerDependencies extends EntryReconcilerDependencies {
  readonly devices: Pick<
    NetworkDevices,
    "deviceOf" | "ensure" | "portWarnings" | "remove" | "adoptedFor" | "isDisowned"
  >;
  readonly announcer: Pick<Announcer, "attend" | "leave"> | undefined;
  readonly ports: Pick<HostPorts, "settle" | "release">;
  /** The routes to other hosts; absent: the VTEP's link decides. */
  readonly routes?: { mtuOf(vni: Vni): RoutedMtu | undefined } | undefined;
}

export class NetworkReconciler {
  readonly entries: EntryReconciler;
  private readonly warnings = new Map<Vni, readonly HostCondition[]>();
  /** Of guests' ports, which change by themselves. */
  private readonly portWarnings = new Map<Vni, readonly HostCondition[]>();
  /** Of other programs' entries. */
  private readonly entryWarnings = new Map<Vni, readonly HostCondition[]>();
  /** Networks whose check could not be completed. */
  private readonly failed = new Set<Vni>();

  constructor(private readonly deps: NetworkReconcilerDependencies) {
    this.entries = new EntryReconciler(deps);
  }

  /** What an operator should fix. */
  conditions(nameOf: (vni: Vni) => string | undefined): HostCondition[] {
    const refusals = this.deps.writer.lastingRefusals.map(([vni, refused]) =>
      refusalOf(vni, nameOf(vni) ?? String(vni), refused),
    );
    const all = [this.warnings, this.portWarnings, this.entryWarnings].flatMap((each) => [...each.values()].flat());
    return [...all, ...refusals];
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
    this.portWarnings.clear();
    this.entryWarnings.clear();
  }

  /** Devices that were created for another store of the controller: they stay, and the problem says how to delete them. */
  leaveOrphan(vni: Vni, isNew = false): void {
    const { devices, log } = this.deps;
    const adopted = devices.adoptedFor(vni);
    const reason = adopted ? "adopted" : isNew || devices.isDisowned(vni) ? "registration" : "made";
    const values = { vni: String(vni), vxlan: adopted?.name ?? vxlanName(vni), bridge: bridgeName(vni) };
    const warning = asCondition({ kind: "leftover-devices", reason, values });
    this.warnings.set(vni, [warning]);
    log.warn({ vni }, warning.says);
  }

  /** @returns false if its entries must be checked again, because its answers were replaced during the check */
  async settle(
    network: AgentNetwork,
    local: LocalVtep,
    epoch: string,
    cause: Cause,
    survey?: Survey,
  ): Promise<boolean> {
    let whole = true;
    await this.attempt(network, async () => {
      await this.settleDevices(network, local, epoch, survey);
      whole = await this.entries.settle(network, cause);
      const device = this.deps.devices.deviceOf(network.vni);
      const name = this.deps.devices.adoptedFor(network.vni)?.name ?? vxlanName(network.vni);
      const hiding = device ? hidingEntries(network, name, this.entries.hiddenIn(network.vni)) : [];
      this.show(network, this.entryWarnings, hiding);
      if (whole) this.failed.delete(network.vni);
      await this.bringPorts(network);
    });
    return whole;
  }

  settlePorts(network: AgentNetwork): Promise<void> {
    return this.attempt(network, () => this.bringPorts(network));
  }

  private async bringPorts(network: AgentNetwork): Promise<void> {
    await this.deps.ports.settle(network.vni);
    this.show(network, this.portWarnings, await this.deps.devices.portWarnings(network));
  }

  /** Devices and entries, as far as they are the agent's. */
  async remove(vni: Vni): Promise<void> {
    this.warnings.delete(vni);
    this.portWarnings.delete(vni);
    this.entryWarnings.delete(vni);
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
      this.warnings.set(vni, [obstacleOf(network, error)]);
      this.deps.log.error({ network: name, vni, reason: error.message }, "network not ready");
      this.deps.reporter.note({ kind: "network-not-ready", vni, detail: error.message });
    }
  }

  private async settleDevices(
    network: AgentNetwork,
    local: LocalVtep,
    epoch: string,
    survey: Survey | undefined,
  ): Promise<void> {
    const { devices, announcer, log } = this.deps;
    const { vni, name } = network;
    const before = devices.deviceOf(vni)?.ifindex;
    const warnings = await devices.ensure(network, local, epoch, this.deps.routes?.mtuOf(vni), survey);
    const device = devices.deviceOf(vni);
    if (device) announcer?.attend(vni, device.bridgeIfindex, device.ifindex);
    this.show(network, this.warnings, warnings);
    if (before !== device?.ifindex) {
      const adopted = devices.adoptedFor(vni);
      const { bridge = bridgeName(vni), name: vxlan = vxlanName(vni) } = adopted ?? {};
      log.info({ network: name, vni, bridge, vxlan, ...(adopted ? { adopted: true } : {}) }, "network ready");
    }
  }

  /** New ones are logged and reported. */
  private show(
    network: AgentNetwork,
    shown: Map<Vni, readonly HostCondition[]>,
    warnings: readonly DeviceWarning[],
  ): void {
    const known = shown.get(network.vni) ?? [];
    for (const warning of warnings) if (!known.some(({ says }) => says === warning.says)) this.warn(network, warning);
    shown.set(network.vni, warnings);
  }

  private warn({ vni, name }: AgentNetwork, warning: DeviceWarning): void {
    const { reporter, log } = this.deps;
    log.warn({ network: name, vni }, warning.says);
    // The tunnel end is that of all networks.
    if (isFindingKind(warning.kind))
      reporter.note({ ...conditionName(warning), detail: warning.says, kind: warning.kind });
  }
}

/** The kernel's own text is for this host only. */
function obstacleOf({ vni, name }: AgentNetwork, error: DeviceError | NetlinkError): HostCondition {
  const says = `network ${name}: ${error.message}`;
  const { reason, values } =
    error instanceof DeviceError ? error : ({ reason: "refused", values: { errno: error.errnoText } } as const);
  return asCondition({ kind: "network-not-ready", reason, vni, values }, name, says);
}

function refusalOf(vni: Vni, name: string, { reason: text, errno }: Refused): HostCondition {
  const says = `network ${name}: the kernel does not take all entries: ${text}`;
  const facts =
    errno !== undefined
      ? { reason: "refused", values: { errno } }
      : text === unanswered
        ? { reason: "unanswered", values: {} }
        : { reason: "no-device", values: { vni: String(vni) } };
  return asCondition({ kind: "entries-refused", vni, ...facts }, name, says);
}
