// Everything that the agent writes to the kernel's tables: answers as they arrive, of which the waiting guests are told, and the
// operations of all other parts. Refused entries are remembered until a comparison (entry-reconciler.ts) finds them in place.
import type { Logger } from "pino";
import { type Answer, type BindingKey, keyText, type Vni } from "../../schema/address/index.ts";
import type { Announcer } from "../announce/announcer.ts";
import type { Reporter } from "../findings/reporter.ts";
import type { Announcement } from "../kernel/codec/packet-codec.ts";
import type { NetworkDevices } from "../kernel/devices/network-devices.ts";
import {
  type Entry,
  entryKey,
  type Operation,
  type OperationResult,
  type Tables,
  type WrittenBinding,
} from "../tables/entry.ts";
import type { HeldAnswers } from "../tables/held.ts";
import type { Occasion } from "../tables/held-network.ts";
import { operationAt, rankOf } from "../tables/plan.ts";

/** Progress of answers; times are of the agent's monotonic clock. */
export interface Programmed {
  /** Acknowledged by the kernel. */
  readonly writtenMs: number;
  /** By key: when the answer was sent to the waiting guests, undefined if no guest waited. */
  readonly announced: ReadonlyMap<string, Promise<number | undefined>>;
}

/** Answers in memory, on their way to the kernel and to guests. */
export interface Underway {
  /** Keys that this host does not need: the controller can end its interest in them. */
  readonly released: readonly BindingKey[];
  /** Networks of which guests on this host may have changed. */
  readonly guestsIn: readonly Vni[];
  readonly programmed: Promise<Programmed>;
}

/** Writes by others during a network's comparison. */
export interface ConcurrentWrites {
  readonly vni: Vni;
  readonly places: Set<string>;
  /** The last request before it began. */
  readonly request: number;
  refused: boolean;
}

export interface EntryWriterDependencies {
  readonly devices: Pick<NetworkDevices, "deviceOf">;
  readonly tables: Pick<Tables, "apply">;
  readonly held: HeldAnswers;
  /** Absent with `--announce off`. */
  readonly announcer: Pick<Announcer, "answer" | "announce"> | undefined;
  readonly reporter: Pick<Reporter, "note">;
  readonly log: Pick<Logger, "warn">;
  nowMs(): number;
}

export type Refused = Extract<OperationResult, { readonly ok: false }>;

export class EntryWriter {
  /** By network, an entry that the kernel refused. */
  readonly refusals = new Map<Vni, Refused>();
  /** Of the present comparison: networks are compared one after the other. */
  private concurrent: ConcurrentWrites | undefined;
  /** Networks of which the kernel may lack entries, each with its last request for a comparison. */
  private readonly incomplete = new Map<Vni, number>();
  /** Networks whose requested comparison has not ended. */
  private readonly awaited = new Set<Vni>();
  private requests = 0;
  /** Resolves when the kernel has all corrections so far. */
  corrected: Promise<unknown> = Promise.resolve();

  constructor(private readonly deps: EntryWriterDependencies) {}

  /** Writes to memory and to the kernel, then sends to guests that wait or may have an older MAC. */
  take(answers: readonly Answer[], occasion: Occasion): Underway {
    const { devices, held, announcer, nowMs } = this.deps;
    const { operations, released, guestsIn, taken, changedMacs } = held.take(answers, nowMs(), occasion);
    // Without a device nothing is written, and no guest waits; it may get one at any moment.
    const isWritten = ({ vni }: { readonly vni: Vni }): boolean => devices.deviceOf(vni) !== undefined;
    const written = taken.filter(({ key }) => isWritten(key));
    const changed = changedMacs.filter(isWritten);
    const programmed = this.write([...operations, ...this.missing(written, operations)]).then(() => {
      const announced = this.announce(written);
      for (const { vni, ...known } of changed) if (this.isHeld(vni, known)) void announcer?.announce(vni, known);
      return announced;
    });
    return { released, guestsIn, programmed };
  }

  /**
   * What an answer did not change may still be missing until a comparison has ended, and guests are told of the answer when all its
   * entries are there.
   */
  private missing(answers: readonly Answer[], operations: readonly Operation[]): Operation[] {
    const some = answers.filter(({ key }) => key.kind === "ip" && this.incomplete.has(key.vni));
    if (some.length === 0) return [];
    const { held, nowMs } = this.deps;
    const places = new Set(operations.map(({ entry }) => entryKey(entry)));
    return some.flatMap(({ key }) => {
      const known = held.lookUp(key, nowMs());
      const entries = known.kind === "remote" ? known.entries : [];
      return entries.flatMap((entry): Operation[] => {
        const place = entryKey(entry);
        if (places.has(place)) return [];
        places.add(place);
        return [{ verb: "put", entry }];
      });
    });
  }

  /** Sends answers that the kernel has now to the waiting guests. A replaced answer is left out: the newer one follows. */
  announce(answers: readonly Answer[]): Programmed {
    const { announcer, nowMs } = this.deps;
    const writtenMs = nowMs();
    const announced = new Map<string, Promise<number | undefined>>();
    for (const { key, binding } of answers) {
      if (!announcer || key.kind !== "ip" || !binding || binding.local) continue;
      const known = { ip: key.ip, mac: binding.mac, router: binding.router ?? false };
      if (this.isHeld(key.vni, known)) announced.set(keyText(key), announcer.answer(key.vni, known));
    }
    return { writtenMs, announced };
  }

  /**
   * What the thread for networks in memory has written, as it found it in a table that may have changed since: each entry becomes what is desired
   * now, and guests get the present MAC. Call it when the answers of now are taken.
   */
  correct(answers: readonly { readonly written: WrittenBinding; readonly repliedMs?: number }[]): void {
    const { announcer, held } = this.deps;
    const operations = answers
      .flatMap(({ written: each }) => entriesOf(each))
      .flatMap((entry) => {
        const operation = operationAt(held.desiredAt(entry), { entry, own: true, lasting: true });
        return operation ?? [];
      });
    if (operations.length === 0) return;
    operations.sort((a, b) => rankOf(a) - rankOf(b));
    const written = this.write(operations);
    this.corrected = Promise.all([this.corrected, written]);
    void written.then(() => {
      for (const { written: each, repliedMs } of answers) {
        const { vni, ip, mac } = each;
        const fact = held.find({ kind: "ip", vni, ip });
        if (repliedMs === undefined || fact?.kind !== "remote" || fact.mac === mac) continue;
        void announcer?.announce(vni, { ip, mac: fact.mac, router: fact.router ?? false });
      }
    });
  }

  /** Held, but missed: the kernel has lost the entry. @returns when it is written again */
  async reassert(held: readonly Entry[]): Promise<number> {
    const { announcer, devices, nowMs } = this.deps;
    // A device that comes in between has none of them yet.
    const entries = held.filter(({ vni }) => devices.deviceOf(vni) !== undefined);
    await this.write(entries.map((entry) => ({ verb: "put", entry })));
    const programmedMs = nowMs();
    const routers = new Set(entries.flatMap((entry) => (entry.kind === "tunnel" && entry.router ? entry.mac : [])));
    for (const entry of entries) {
      if (entry.kind !== "neighbour") continue;
      void announcer?.answer(entry.vni, { ip: entry.ip, mac: entry.mac, router: routers.has(entry.mac) });
    }
    return programmedMs;
  }

  /**
   * Sends operations to the kernel now; a refusal leaves the network unsettled. Without a device they are dropped: its set-up
   * starts from all entries that are held by then.
   */
  async write(operations: readonly Operation[]): Promise<OperationResult[]> {
    const { concurrent } = this;
    for (const { entry } of operations) if (entry.vni === concurrent?.vni) concurrent.places.add(entryKey(entry));
    const results = await this.send(operations);
    this.noteRefused(results);
    return results;
  }

  /** The same for the comparison, which notes refusals when it is done. */
  send(operations: readonly Operation[]): Promise<OperationResult[]> {
    const { devices, tables } = this.deps;
    return tables.apply(operations.filter(({ entry }) => devices.deviceOf(entry.vni) !== undefined));
  }

  private isHeld(vni: Vni, { ip, mac }: Pick<Announcement, "ip" | "mac">): boolean {
    const fact = this.deps.held.find({ kind: "ip", vni, ip });
    return fact?.kind === "remote" && fact.mac === mac;
  }

  /** A network is to be compared: the kernel may lack entries of it. */
  requestComparison(vni: Vni): void {
    this.requests += 1;
    this.incomplete.set(vni, this.requests);
    this.awaited.add(vni);
  }

  /** A network's comparison begins: from here on `write` is noted. */
  beginComparison(vni: Vni): ConcurrentWrites {
    this.concurrent = { vni, places: new Set(), request: this.requests, refused: false };
    return this.concurrent;
  }

  /** @param isWhole the kernel had all entries at one moment of the comparison, and no later one was refused */
  endComparison({ vni, request, refused }: ConcurrentWrites, isWhole: boolean): void {
    this.concurrent = undefined;
    const last = this.incomplete.get(vni);
    if (last === undefined || last <= request) this.awaited.delete(vni);
    if (isWhole && !refused && last !== undefined && last <= request) this.incomplete.delete(vni);
  }

  /** It left this host. */
  forget(vni: Vni): void {
    this.incomplete.delete(vni);
    this.awaited.delete(vni);
    this.refusals.delete(vni);
  }

  /** Those that a comparison under way may not end: entries can arrive before the device that takes them, as when the family changes. */
  get lastingRefusals(): [Vni, Refused][] {
    return [...this.refusals].filter(([vni]) => !this.awaited.has(vni));
  }

  noteRefused(results: readonly OperationResult[]): void {
    const refused = results.filter((result): result is Refused => !result.ok);
    for (const each of refused) {
      const { vni } = each.operation.entry;
      this.refusals.set(vni, each);
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

/** Its three entries. */
function entriesOf({ ip, ...written }: WrittenBinding): Entry[] {
  const { vni, mac } = written;
  return [
    { kind: "neighbour", vni, ip, mac },
    { kind: "bridge", vni, mac },
    { kind: "tunnel", ...written },
  ];
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
