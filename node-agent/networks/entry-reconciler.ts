// Compares the held entries of a network with the actual ones, and repairs the difference. entry-writer.ts writes answers as they
// arrive; network-reconciler.ts has the devices.
import type { Logger } from "pino";
import { inSlices, type Turns } from "../../common/cooperative.ts";
import type { AgentNetwork, Vni } from "../../schema/address/index.ts";
import type { Reporter } from "../findings/reporter.ts";
import { broadcastRewrites, isBroadcast } from "../tables/broadcast.ts";
import { compare, type Desired, type Difference, nothingDesired, repairOf } from "../tables/comparison.ts";
import {
  type ActualEntry,
  entryKey,
  type HiddenAddresses,
  type Operation,
  type OperationResult,
  type Tables,
} from "../tables/entry.ts";
import type { HeldAnswers } from "../tables/held.ts";
import type { Broadcasts } from "./broadcasts.ts";
import type { EntryWriter } from "./entry-writer.ts";

/** Why a network is checked again. */
export type Cause = "start" | "session" | "change" | "refused" | "overrun" | "device" | "entry" | "theft" | "timer";

/** Differences that only another program or a lost message can have caused. */
const drifts: readonly Cause[] = ["overrun", "device", "entry", "timer"];

/** Operations in one system call. */
const maxLot = 64;

export interface EntryReconcilerDependencies {
  readonly writer: EntryWriter;
  readonly tables: Pick<Tables, "list" | "hiding">;
  readonly held: HeldAnswers;
  readonly broadcasts: Pick<Broadcasts, "entriesOf" | "entryAt" | "isDecided" | "stateOf">;
  readonly reporter: Pick<Reporter, "note">;
  readonly log: Logger;
  readonly turns: Turns;
}

export class EntryReconciler {
  /** Repaired kernel entries, by the cause of the check. */
  readonly repairs = new Map<Cause, number>();

  constructor(private readonly deps: EntryReconcilerDependencies) {}

  /**
   * Reconciles actual with desired entries, from a fresh dump. It yields to other tasks, which write their own changes: no
   * operation is older than the moment in which it is sent.
   * @returns false if it was abandoned, because the network's answers were dropped or replaced during it
   * @throws NetlinkError
   */
  async settle(network: AgentNetwork, cause: Cause): Promise<boolean> {
    const { tables, held, turns, writer } = this.deps;
    const { vni } = network;
    const memory = held.desiredOf(vni);
    const desired = this.withBroadcasts(vni, memory ?? nothingDesired);
    const isCurrent = (): boolean => held.desiredOf(vni) === memory;
    const concurrent = writer.beginComparison(vni);
    let isWhole = false;
    try {
      const actual = await this.ownBroadcasts(network, await tables.list(vni), cause);
      const differences = await inSlices(compare(desired, actual), turns);
      if (!isCurrent()) return false;
      // Entries written during the comparison are written again, since the dump may be older; but they were not wrong.
      const drifted = differences.filter(({ place }) => !concurrent.places.has(entryKey(place)));
      if (drifted.length > 0) this.tell(network, drifted, cause);
      writer.noteRefused(await this.repairAll(differences, desired, isCurrent));
      // Entries that were refused before are written, or were refused again.
      isWhole = isCurrent();
      if (isWhole && !concurrent.refused) writer.refusals.delete(vni);
      return isWhole;
    } finally {
      writer.endComparison(concurrent, isWhole);
    }
  }

  /** Addresses of the network for which entries of other programs prevent every miss; as of the last comparison, without those repaired. */
  hiddenIn(vni: Vni): HiddenAddresses {
    const { tables, held } = this.deps;
    const { floods, hidden, behindNexthops } = tables.hiding(vni);
    return {
      floods,
      hidden: [...hidden].filter((ip) => !held.desiredAt({ kind: "neighbour", vni, ip })),
      behindNexthops: [...behindNexthops].filter((mac) => !held.desiredAt({ kind: "tunnel", vni, mac })),
    };
  }

  /** Deletes our entries from a device that stays, unless its network returns. @throws NetlinkError */
  async clear(vni: Vni): Promise<void> {
    const { tables, held, turns } = this.deps;
    const memory = held.desiredOf(vni);
    const differences = await inSlices(compare(nothingDesired, await tables.list(vni)), turns);
    await this.repairAll(differences, nothingDesired, () => held.desiredOf(vni) === memory);
  }

  private withBroadcasts(vni: Vni, answers: Desired): Desired {
    const { broadcasts } = this.deps;
    return {
      entryAt: (place) => (place.kind === "broadcast" ? broadcasts.entryAt(place) : answers.entryAt(place)),
      *entries() {
        yield* answers.entries();
        yield* broadcasts.entriesOf(vni).values();
      },
    };
  }

  /**
   * A list of destinations that another program has written to is replaced as a whole. Nothing is changed as long as it is not known what the
   * list should be, and the list of a network that is not copied is left to others.
   * @returns the actual entries after that
   */
  private async ownBroadcasts(
    network: AgentNetwork,
    actual: readonly ActualEntry[],
    cause: Cause,
  ): Promise<readonly ActualEntry[]> {
    const { broadcasts, writer } = this.deps;
    const { vni } = network;
    const others = actual.filter((each) => !isBroadcast(each));
    if (!broadcasts.isDecided(vni)) return others;
    if (!broadcasts.stateOf(vni)) return actual;
    const desired = broadcasts.entriesOf(vni);
    const rewrites = broadcastRewrites(desired, actual);
    if (rewrites.size === 0) return actual;
    const foreign = actual.filter((each) => isBroadcast(each) && !each.own);
    this.tell(
      network,
      foreign.map((each) => ({
        place: each.entry,
        verb: desired.has(entryKey(each.entry)) ? "put" : "delete",
        actual: each,
      })),
      cause,
    );
    writer.noteRefused(await writer.send([...rewrites.values()].flat()));
    const rewritten = [...desired.values()].filter(({ mac }) => rewrites.has(mac));
    return [
      ...actual.filter((each) => !isBroadcast(each) || !rewrites.has(each.entry.mac)),
      ...rewritten.map((entry): ActualEntry => ({ entry, own: true, lasting: true })),
    ];
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
  ): Promise<OperationResult[]> {
    const { turns, writer } = this.deps;
    const results: OperationResult[] = [];
    for (let at = 0; at < differences.length && isCurrent(); ) {
      const lot: Operation[] = [];
      do {
        const difference = differences[at++];
        const operation = difference && repairOf(difference, desired);
        if (operation) lot.push(operation);
      } while (at < differences.length && lot.length < maxLot && !turns.over);
      results.push(...(await writer.send(lot)));
      if (turns.over) await turns.next();
    }
    return results;
  }
}
