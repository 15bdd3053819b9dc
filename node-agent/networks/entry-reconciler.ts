// Keeps the held entries of this host's networks in the kernel: writes them when answers arrive, and compares them with the
// actual ones. Refused entries are remembered, retried and reported. network-reconciler.ts has the devices.
import type { Logger } from "pino";
import { inSlices, type Turns } from "../../common/cooperative.ts";
import type { AgentNetwork, Vni } from "../../schema/address/index.ts";
import type { Reporter } from "../findings/reporter.ts";
import type { NetworkDevices } from "../kernel/devices/network-devices.ts";
import { compare, type Desired, type Difference, nothingDesired, repairOf } from "../tables/comparison.ts";
import { entryKey, type Operation, type OperationResult, type Tables } from "../tables/entry.ts";
import type { HeldAnswers } from "../tables/held.ts";

/** Why a network is checked again. */
export type Cause = "session" | "change" | "refused" | "overrun" | "device" | "entry" | "theft" | "timer";

/** Differences that only another program or a lost message can have caused. */
const drifts: readonly Cause[] = ["overrun", "device", "entry", "timer"];

/** Operations in one system call. */
const maxLot = 64;

export interface EntryReconcilerDependencies {
  readonly devices: Pick<NetworkDevices, "deviceOf">;
  readonly tables: Tables;
  readonly held: HeldAnswers;
  readonly reporter: Pick<Reporter, "note">;
  readonly log: Logger;
  readonly turns: Turns;
}

type Refused = Extract<OperationResult, { readonly ok: false }>;

/** Writes by others during a network's comparison. */
interface ConcurrentWrites {
  readonly vni: Vni;
  readonly places: Set<string>;
  refused: boolean;
}

export class EntryReconciler {
  /** Repaired kernel entries, by the cause of the check. */
  readonly repairs = new Map<Cause, number>();
  /** By network, why the kernel refused an entry. */
  readonly refusals = new Map<Vni, string>();
  /** Of the present comparison: networks are compared one after the other. */
  private concurrent: ConcurrentWrites | undefined;

  constructor(private readonly deps: EntryReconcilerDependencies) {}

  /**
   * Sends operations to the kernel now; a refusal leaves the network unsettled. Without a device they are dropped: its set-up
   * starts from all entries that are held by then.
   */
  async write(operations: readonly Operation[]): Promise<OperationResult[]> {
    const { concurrent } = this;
    for (const { entry } of operations) if (entry.vni === concurrent?.vni) concurrent.places.add(entryKey(entry));
    const results = await this.send(operations);
    this.noteRefused(results.filter(isRefused));
    return results;
  }

  /**
   * Reconciles actual with desired entries, from a fresh dump. It yields to other tasks, which write their own changes: no
   * operation is older than the moment in which it is sent.
   * @returns false if it was abandoned, because the network's answers were dropped or replaced during it
   * @throws NetlinkError
   */
  async settle(network: AgentNetwork, cause: Cause): Promise<boolean> {
    const { tables, held, turns } = this.deps;
    const { vni } = network;
    const memory = held.desiredOf(vni);
    const desired = memory ?? nothingDesired;
    const isCurrent = (): boolean => held.desiredOf(vni) === memory;
    const concurrent: ConcurrentWrites = { vni, places: new Set(), refused: false };
    this.concurrent = concurrent;
    try {
      const differences = await inSlices(compare(desired, await tables.list(vni)), turns);
      if (!isCurrent()) return false;
      // Entries written during the comparison are written again, since the dump may be older; but they were not wrong.
      const drifted = differences.filter(({ place }) => !concurrent.places.has(entryKey(place)));
      if (drifted.length > 0) this.tell(network, drifted, cause);
      this.noteRefused(await this.repairAll(differences, desired, isCurrent));
      // Entries that were refused before are written, or were refused again.
      if (isCurrent() && !concurrent.refused) this.refusals.delete(vni);
      return isCurrent();
    } finally {
      this.concurrent = undefined;
    }
  }

  /** Deletes our entries from a device that stays, unless its network returns. @throws NetlinkError */
  async clear(vni: Vni): Promise<void> {
    const { tables, held, turns } = this.deps;
    const memory = held.desiredOf(vni);
    const differences = await inSlices(compare(nothingDesired, await tables.list(vni)), turns);
    await this.repairAll(differences, nothingDesired, () => held.desiredOf(vni) === memory);
  }

  private tell({ vni, name }: AgentNetwork, differences: readonly Difference[], cause: Cause): void {
    const { reporter, log } = this.deps;
    const operations = differences.length;
    this.repairs.set(cause, (this.repairs.get(cause) ?? 0) + operations);
    const first = differences.slice(0, 5).map(({ verb, place }) => `${verb} ${entryKey(place)}`);
    if (drifts.includes(cause)) {
      reporter.note({ kind: "drift-repaired", vni, subject: cause, count: operations, detail: first.join(", ") });
    }
    log.info({ network: name, vni, cause, operations, first }, "entries repaired");
  }

  /** In batches, each as of its sending: no entry is overwritten by an older desired one. */
  private async repairAll(
    differences: readonly Difference[],
    desired: Desired,
    isCurrent: () => boolean,
  ): Promise<Refused[]> {
    const { turns } = this.deps;
    const refused: Refused[] = [];
    for (let at = 0; at < differences.length && isCurrent(); ) {
      const lot: Operation[] = [];
      do {
        const difference = differences[at++];
        const operation = difference && repairOf(difference, desired);
        if (operation) lot.push(operation);
      } while (at < differences.length && lot.length < maxLot && !turns.over);
      refused.push(...(await this.send(lot)).filter(isRefused));
      if (turns.over) await turns.next();
    }
    return refused;
  }

  private send(operations: readonly Operation[]): Promise<OperationResult[]> {
    const { devices, tables } = this.deps;
    return tables.apply(operations.filter(({ entry }) => devices.deviceOf(entry.vni) !== undefined));
  }

  private noteRefused(refused: readonly Refused[]): void {
    for (const { operation, reason } of refused) {
      const { vni } = operation.entry;
      this.refusals.set(vni, reason);
      if (this.concurrent?.vni === vni) this.concurrent.refused = true;
    }
    const [first] = refused;
    if (!first) return;
    for (const [vni, count] of countFull(refused)) {
      this.deps.reporter.note({ kind: "table-full", vni, count, detail: first.reason });
    }
    // One line for all: a full table refuses thousands, at every attempt.
    const { verb, entry } = first.operation;
    const fields = { vni: entry.vni, refused: refused.length, verb, entry: entryKey(entry), reason: first.reason };
    this.deps.log.warn(fields, "the kernel refused");
  }
}

function isRefused(result: OperationResult): result is Refused {
  return !result.ok;
}

/** Number of entries that the kernel had no room for, by network. */
function countFull(refused: readonly Refused[]): Map<Vni, number> {
  const counts = new Map<Vni, number>();
  for (const { operation, full } of refused) {
    const { vni } = operation.entry;
    if (full) counts.set(vni, (counts.get(vni) ?? 0) + 1);
  }
  return counts;
}
