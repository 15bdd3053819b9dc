// One network of this host in the kernel: its devices as they must be, its entries as they are held. What the kernel refuses
// is remembered, to be tried again and reported. Which networks there are, and when they are looked at, is networks.ts.
import type { Logger } from "pino";
import type { AgentNetwork, Vni } from "../schema/index.ts";
import type { Announcer } from "./announcer.ts";
import type { HostPorts } from "./host-ports.ts";
import type { LocalVtep } from "./kernel/device-fit.ts";
import { bridgeName, vxlanName } from "./kernel/device-names.ts";
import { DeviceError, type DeviceWarning } from "./kernel/device-problems.ts";
import type { NetworkDevices } from "./kernel/devices.ts";
import { NetlinkError } from "./kernel/request-socket.ts";
import type { Reporter } from "./reporter.ts";
import { entryKey, type Operation, type OperationResult, type Tables } from "./tables/entry.ts";
import type { HeldAnswers } from "./tables/held.ts";
import { actualByKey, plan } from "./tables/plan.ts";

/** Why a network's kernel state is looked at again. */
export type Cause = "session" | "change" | "refused" | "overrun" | "device" | "entry" | "theft" | "timer";

/** Differences that nobody but somebody else, or a lost message, can have made. */
const drifts: readonly Cause[] = ["overrun", "device", "entry", "timer"];

export interface NetworkKeeperDependencies {
  readonly devices: NetworkDevices;
  readonly tables: Tables;
  readonly held: HeldAnswers;
  readonly announcer: Announcer | undefined;
  readonly ports: HostPorts;
  readonly reporter: Pick<Reporter, "note">;
  readonly log: Logger;
}

export class NetworkKeeper {
  /** Entries brought back in line, by what made the agent look. */
  readonly repairs = new Map<Cause, number>();
  private readonly warnings = new Map<Vni, readonly string[]>();
  /** By network, why the kernel did not take an entry. */
  private readonly refusals = new Map<Vni, string>();
  /** Networks whose kernel state is not known to be right. */
  private readonly unsettled = new Set<Vni>();

  constructor(private readonly deps: NetworkKeeperDependencies) {}

  /** What an operator should mend. */
  problems(nameOf: (vni: Vni) => string | undefined): string[] {
    const refusals = [...this.refusals].map(
      ([vni, reason]) => `network ${nameOf(vni) ?? vni}: the kernel does not take all entries: ${reason}`,
    );
    return [...[...this.warnings.values()].flat(), ...refusals];
  }

  /** Networks whose kernel state is not known to be right. */
  get unsettledVnis(): readonly Vni[] {
    return [...this.unsettled];
  }

  warnsOf(vni: Vni): boolean {
    return this.warnings.has(vni);
  }

  /** Another whole set of networks is coming. */
  forgetWarnings(): void {
    this.warnings.clear();
  }

  /** Devices that another store of the controller vouched for: they stay, and the operator is told how they would go. */
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

  settle(network: AgentNetwork, local: LocalVtep, epoch: string, cause: Cause): Promise<void> {
    return this.attempt(network, async () => {
      await this.settleDevices(network, local, epoch);
      await this.settleEntries(network, cause);
      await this.deps.ports.settle(network.vni);
    });
  }

  settlePorts(network: AgentNetwork): Promise<void> {
    return this.attempt(network, () => this.deps.ports.settle(network.vni));
  }

  /** Sends operations to the kernel now; what it refuses leaves its network unsettled. Without a device there is no place
   * for them: setting it up starts from everything that is held by then. */
  async write(operations: readonly Operation[]): Promise<OperationResult[]> {
    const placed = operations.filter(({ entry }) => this.deps.devices.deviceOf(entry.vni) !== undefined);
    const results = await this.deps.tables.apply(placed);
    const refused = results.flatMap((result) => (result.ok ? [] : [result]));
    for (const { operation, reason } of refused) {
      const { vni } = operation.entry;
      this.unsettled.add(vni);
      this.refusals.set(vni, reason);
    }
    const [first] = refused;
    if (first) {
      for (const [vni, count] of countFull(refused)) {
        this.deps.reporter.note({ kind: "table-full", vni, count, detail: first.reason });
      }
      // One line for all: a full table refuses thousands, at every try.
      const { verb, entry } = first.operation;
      const fields = { vni: entry.vni, refused: refused.length, verb, entry: entryKey(entry), reason: first.reason };
      this.deps.log.warn(fields, "the kernel refused");
    }
    return results;
  }

  /** Devices and entries, as far as they are the agent's. */
  async remove(vni: Vni): Promise<void> {
    this.warnings.delete(vni);
    this.forgetRefusals(vni);
    this.deps.announcer?.leave(vni);
    try {
      await this.deps.ports.release(vni);
      if (this.deps.devices.adoptedFor(vni)) await this.removeEntries(vni);
      await this.deps.devices.remove(vni);
      this.deps.log.info({ vni }, "network removed: its last VM left this host");
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      this.deps.log.error({ vni, reason: error.message }, "network not removed");
    }
  }

  /** What an adopted device was given: it stays, and so does what others have put there. */
  private async removeEntries(vni: Vni): Promise<void> {
    const actual = actualByKey(await this.deps.tables.list(vni));
    await this.deps.tables.apply(plan(new Map(), actual));
  }

  /** It is no longer one of this host, or is looked at afresh. */
  forgetRefusals(vni: Vni): void {
    this.unsettled.delete(vni);
    this.refusals.delete(vni);
  }

  /** Where the kernel or a device is in the way the network is unsettled, and says why. */
  private async attempt(network: AgentNetwork, work: () => Promise<void>): Promise<void> {
    const { vni, name } = network;
    try {
      await work();
    } catch (error) {
      if (!(error instanceof DeviceError) && !(error instanceof NetlinkError)) throw error;
      this.unsettled.add(vni);
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

  /** Actual to desired, from a fresh dump. */
  private async settleEntries({ vni, name }: AgentNetwork, cause: Cause): Promise<void> {
    const { tables, held, reporter, log } = this.deps;
    const actual = actualByKey(await tables.list(vni));
    this.forgetRefusals(vni);
    const operations = plan(held.desired(vni), actual);
    if (operations.length === 0) return;
    this.repairs.set(cause, (this.repairs.get(cause) ?? 0) + operations.length);
    const first = operations.slice(0, 5).map(({ verb, entry }) => `${verb} ${entryKey(entry)}`);
    if (drifts.includes(cause)) {
      reporter.note({
        kind: "drift-repaired",
        vni,
        subject: cause,
        count: operations.length,
        detail: first.join(", "),
      });
    }
    log.info({ network: name, vni, cause, operations: operations.length, first }, "entries brought in line");
    await this.write(operations);
  }
}

/** How many entries the kernel had no room for, by network. */
function countFull(refused: readonly OperationResult[]): Map<Vni, number> {
  const counts = new Map<Vni, number>();
  for (const result of refused) {
    const { vni } = result.operation.entry;
    if (!result.ok && result.full) counts.set(vni, (counts.get(vni) ?? 0) + 1);
  }
  return counts;
}
