// The networks of this host in the kernel: devices as they must be, entries as they are held. Everything that writes
// goes through here; what the kernel refuses is tried again and reported meanwhile.
import type { Logger } from "pino";
import type { AgentNetwork, Vni, VtepAddress } from "../schema/index.ts";
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

/** Rules in the kernel beside the tables. */
export interface Guard {
  /** What an operator should mend. */
  readonly problems: readonly string[];
  readonly settled: boolean;
  settle(): Promise<void>;
}

export interface NetworksDependencies {
  readonly devices: NetworkDevices;
  readonly tables: Tables;
  readonly held: HeldAnswers;
  readonly announcer: Announcer | undefined;
  readonly ports: HostPorts;
  /** Rules that follow what is registered. */
  readonly guards: readonly Guard[];
  /** Of the host around the networks. */
  readonly otherProblems?: () => readonly string[];
  readonly reporter: Pick<Reporter, "note">;
  readonly log: Logger;
}

export class HostNetworks {
  /** Entries brought back in line, by what made the agent look. */
  readonly repairs = new Map<Cause, number>();
  private readonly networks = new Map<Vni, AgentNetwork>();
  private readonly warnings = new Map<Vni, readonly string[]>();
  /** By network, why the kernel did not take an entry. */
  private readonly refusals = new Map<Vni, string>();
  /** Networks whose kernel state is not known to be right. */
  private readonly unsettled = new Set<Vni>();
  private readonly requested = new Map<Vni, Cause>();
  private readonly portsRequested = new Set<Vni>();
  private guardRequested = false;
  private local: LocalVtep | undefined;
  private epoch = "";
  /** Work on devices runs one after the other; entries of standing devices need not wait for it. */
  private work: Promise<void> = Promise.resolve();

  constructor(private readonly deps: NetworksDependencies) {}

  /** What an operator should mend. */
  get problems(): string[] {
    const refusals = [...this.refusals].map(
      ([vni, reason]) => `network ${this.nameOf(vni) ?? vni}: the kernel does not take all entries: ${reason}`,
    );
    // Of one cause all networks may tell.
    return [
      ...new Set([
        ...[...this.warnings.values()].flat(),
        ...refusals,
        ...this.deps.guards.flatMap(({ problems }) => problems),
        ...(this.deps.otherProblems?.() ?? []),
      ]),
    ];
  }

  /** The kernel is known to hold what is held here. */
  get settled(): boolean {
    return this.unsettled.size === 0 && this.deps.guards.every(({ settled }) => settled);
  }

  get size(): number {
    return this.networks.size;
  }

  /** This host's tunnel end, once the controller has said it. */
  get vtep(): VtepAddress | undefined {
    return this.local?.vtep;
  }

  /** It has devices here which another store of the controller vouched for, so they stay. */
  keeps(vni: Vni): boolean {
    return !this.networks.has(vni) && this.warnings.has(vni);
  }

  /** As the controller has registered it, once it has said so. */
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
   * The whole set, as the store of `epoch` knows it. Devices of networks that are not in it leave, if they were made for that
   * store: an empty or foreign one must never take a host down.
   */
  replace(networks: readonly AgentNetwork[], epoch: string): Promise<void> {
    const { devices, log } = this.deps;
    this.epoch = epoch;
    this.networks.clear();
    this.warnings.clear();
    for (const network of networks) this.networks.set(network.vni, network);
    const absent = devices.vnis().filter((vni) => !this.networks.has(vni));
    const gone = absent.filter((vni) => devices.epochOf(vni) === epoch);
    for (const vni of absent.filter((each) => !gone.includes(each))) {
      const adopted = devices.adoptedFor(vni);
      const warning = adopted
        ? `VNI ${vni}: the adopted device ${adopted.name} has entries of an earlier agent, and the controller has no VM of it on ` +
          `this host: they stay; delete those with proto 78 (ip neigh show dev ${adopted.name}) and extern_learn (bridge fdb show dev ${adopted.name})`
        : `VNI ${vni} has devices here that were made for another store of the controller, and this one has no VM of it on ` +
          `this host: they stay; remove them with ip link del ${vxlanName(vni)}; ip link del ${bridgeName(vni)}`;
      this.warnings.set(vni, [warning]);
      log.warn({ vni }, warning);
    }
    const brought = this.bring(gone, [...this.networks.keys()], "session");
    this.guard();
    return brought;
  }

  /** Some changed, some left this host; with a new tunnel end of our own all are touched. */
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

  /** Looks again at a network, soon and once for all causes that come meanwhile; without `vni` at all of them. */
  look(cause: Cause, vni?: Vni): void {
    const vnis = vni === undefined ? this.networks.keys() : this.networks.has(vni) ? [vni] : [];
    const first = this.requested.size === 0;
    for (const each of vnis) if (!this.requested.has(each)) this.requested.set(each, cause);
    if (first && this.requested.size > 0) void this.queue(() => this.settleRequested());
  }

  /** Looks at the guests' ports of a network, soon and once for all that comes meanwhile. */
  lookAtPorts(vni: Vni): void {
    if (!this.networks.has(vni) || this.portsRequested.has(vni)) return;
    this.portsRequested.add(vni);
    void this.queue(async () => {
      this.portsRequested.delete(vni);
      await this.attempt(vni, (network) => this.deps.ports.settle(network.vni));
    });
  }

  /** Answers were taken that may say which ports guests have. */
  guestsMayHaveChanged(vnis: Iterable<Vni>): void {
    for (const vni of new Set(vnis)) if (this.deps.ports.hasChanged(vni)) this.lookAtPorts(vni);
    this.guard();
  }

  /** Deletes bridges that were left only because a guest's port was still on them, once it is not. */
  sweep(): void {
    const { devices, log } = this.deps;
    if (!devices.hasLeftovers) return;
    void this.queue(async () => {
      try {
        await devices.sweep();
      } catch (error) {
        if (!(error instanceof NetlinkError)) throw error;
        log.warn({ reason: error.message }, "a bridge that is no longer needed was not removed");
      }
    });
  }

  /** Settles once more what is not settled. */
  retry(): Promise<void> {
    for (const vni of this.unsettled) this.look("refused", vni);
    if (!this.deps.guards.every(({ settled }) => settled)) this.guard();
    return this.work;
  }

  /** When the work that is queued now is done. */
  get idle(): Promise<void> {
    return this.work;
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

  private bring(gone: readonly Vni[], touched: readonly Vni[], cause: Cause): Promise<void> {
    if (gone.length === 0 && touched.length === 0) return Promise.resolve();
    return this.queue(async () => {
      for (const vni of gone) await this.remove(vni);
      for (const vni of touched) await this.settle(vni, cause);
    });
  }

  /** Rules follow what is registered of this host's guests, soon and once for all that comes meanwhile. */
  guard(): void {
    const { guards } = this.deps;
    if (guards.length === 0 || this.guardRequested) return;
    this.guardRequested = true;
    void this.queue(async () => {
      this.guardRequested = false;
      for (const guard of guards) await guard.settle();
    });
  }

  /** Names of the bridges that stand. */
  bridges(): string[] {
    const standing = this.list().filter(({ vni }) => this.deps.devices.deviceOf(vni) !== undefined);
    return standing.map(({ vni }) => this.deps.devices.adoptedFor(vni)?.bridge ?? bridgeName(vni));
  }

  private queue(work: () => Promise<void>): Promise<void> {
    this.work = this.work.then(work);
    return this.work;
  }

  private async settleRequested(): Promise<void> {
    const requested = [...this.requested];
    this.requested.clear();
    for (const [vni, cause] of requested) await this.settle(vni, cause);
  }

  private settle(vni: Vni, cause: Cause): Promise<void> {
    return this.attempt(vni, async (network, local) => {
      await this.settleDevices(network, local);
      await this.settleEntries(network, cause);
      await this.deps.ports.settle(vni);
    });
  }

  /** Where the kernel or a device is in the way the network is unsettled, and says why. */
  private async attempt(vni: Vni, work: (network: AgentNetwork, local: LocalVtep) => Promise<void>): Promise<void> {
    const network = this.networks.get(vni);
    if (!network || !this.local) {
      this.forgetRefusals(vni);
      return;
    }
    try {
      await work(network, this.local);
    } catch (error) {
      if (!(error instanceof DeviceError) && !(error instanceof NetlinkError)) throw error;
      this.unsettled.add(vni);
      this.warnings.set(vni, [`network ${network.name}: ${error.message}`]);
      this.deps.log.error({ network: network.name, vni, reason: error.message }, "network not ready");
      this.deps.reporter.note({ kind: "network-not-ready", vni, detail: error.message });
    }
  }

  private async settleDevices(network: AgentNetwork, local: LocalVtep): Promise<void> {
    const { devices, announcer, log } = this.deps;
    const { vni, name } = network;
    const before = devices.deviceOf(vni)?.ifindex;
    const warnings = await devices.ensure(network, local, this.epoch);
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

  private forgetRefusals(vni: Vni): void {
    this.unsettled.delete(vni);
    this.refusals.delete(vni);
  }

  private async remove(vni: Vni): Promise<void> {
    // It may have come back while this work waited.
    if (this.networks.has(vni)) return;
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
