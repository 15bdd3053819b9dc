// Whole networks in the agent's memory: what the controller sends of a network that the agent has subscribed to. No I/O.
import type { Answer, BindingKey, Revision, Vni } from "../../schema/address/index.ts";
import { Locations } from "./locations.ts";
import type { SharedTable } from "./replica-rows.ts";
import { ReplicaTable } from "./replica-table.ts";

interface Replica {
  /** Absent until the first base is complete. */
  table?: ReplicaTable;
  /** A base that is being received: it replaces the table when it is complete. */
  next?: ReplicaTable;
  /** The table lacks changes of before the subscription until the base is complete. */
  isBehind: boolean;
  /** There is no session since then, ms: the table is as it was at its end. */
  aloneSinceMs?: number;
  /** Up to which the table has all changes, while it is behind. */
  position?: Revision;
}

/** 256 MiB: some 6 million addresses. */
export const defaultReplicaBytes = 256 * 2 ** 20;

/** What has changed in the tables, for what is kept of them elsewhere. */
export interface ReplicaListener {
  /** The table was replaced, or is gone. */
  onReplaced(vni: Vni): void;
  onChanged(vni: Vni, keys: readonly BindingKey[]): void;
}

export interface ReplicasOptions {
  /** Of all tables together; default `defaultReplicaBytes`. */
  readonly maxBytes?: number;
  /** Without a session, a table answers no longer than this, ms; default: without a limit. */
  readonly maxStaleMs?: number;
  /** In [0, 1). */
  readonly random: () => number;
  /** `shared` of a network has another value. */
  readonly onShared?: (vni: Vni) => void;
}

/** The table of a network from which misses are answered. */
export interface AnsweringTable {
  readonly table: SharedTable;
  /** It answers until then, ms; Infinity: as long as it is there. */
  readonly untilMs: number;
}

export class Replicas {
  readonly maxBytes: number;
  readonly maxStaleMs: number;
  private readonly byVni = new Map<Vni, Replica>();
  private readonly locations: Locations;
  private readonly random: () => number;
  private readonly onShared: (vni: Vni) => void;
  private listener: ReplicaListener | undefined;

  constructor({ maxBytes = defaultReplicaBytes, maxStaleMs = Number.POSITIVE_INFINITY, ...given }: ReplicasOptions) {
    const { random, onShared = () => {} } = given;
    this.maxBytes = maxBytes;
    this.maxStaleMs = maxStaleMs;
    this.random = random;
    this.onShared = onShared;
    this.locations = new Locations(() => {
      for (const vni of this.byVni.keys()) onShared(vni);
    });
  }

  /** There is at most one. */
  listen(listener: ReplicaListener): void {
    this.listener = listener;
  }

  /** Of all tables. */
  get bytes(): number {
    let bytes = 0;
    for (const { table, next } of this.byVni.values()) bytes += (table?.bytes ?? 0) + (next?.bytes ?? 0);
    return bytes;
  }

  /**
   * Subscribed: a base follows. A table from an earlier base stays until then.
   * @returns the position to which the table has all changes, if there is one
   */
  begin(vni: Vni): Revision | undefined {
    const replica = this.byVni.get(vni) ?? { isBehind: true };
    this.dropNext(replica);
    replica.isBehind = true;
    delete replica.aloneSinceMs;
    this.byVni.set(vni, replica);
    this.onShared(vni);
    return replica.table && replica.position;
  }

  /**
   * Part of a base. @param isWhole it replaces the table; otherwise it has only what has changed
   * @returns false: there was no room, and the network was dropped
   */
  takeBase(
    vni: Vni,
    answers: readonly Answer[],
    { isWhole, end }: { readonly isWhole: boolean; readonly end: boolean },
  ): boolean {
    const replica = this.byVni.get(vni);
    if (!replica?.isBehind) return true;
    if (isWhole) replica.next ??= this.newTable(vni);
    write(isWhole ? replica.next : replica.table, answers);
    if (!this.fits(vni)) return false;
    if (!isWhole) this.noteChanged(vni, answers);
    if (!end) return true;
    if (isWhole && replica.next) {
      replica.table?.clear();
      replica.table = replica.next;
      this.listener?.onReplaced(vni);
    }
    delete replica.next;
    replica.isBehind = false;
    this.onShared(vni);
    return true;
  }

  /**
   * Changes of one revision. They are later than all parts of a base that came before them, and not in those.
   * @returns false: there was no room, and the network was dropped
   */
  takeDelta(vni: Vni, answers: readonly Answer[]): boolean {
    const replica = this.byVni.get(vni);
    if (!replica) return true;
    for (const table of [replica.table, replica.next]) write(table, answers);
    this.noteChanged(vni, answers);
    return this.fits(vni);
  }

  /**
   * An empty table for what was kept elsewhere. It answers from `recalled` on; until then `drop` undoes it. @param vni of a network without a
   * table
   */
  recall(vni: Vni): ReplicaTable {
    const table = this.newTable(vni);
    this.byVni.set(vni, { table, isBehind: true });
    return table;
  }

  /** @param position to which the table has all changes. @param aloneSinceMs when the session ended in which it was received */
  recalled(vni: Vni, position: Revision, aloneSinceMs: number): void {
    const replica = this.byVni.get(vni);
    if (!replica) return;
    replica.position = position;
    replica.aloneSinceMs = aloneSinceMs;
    this.onShared(vni);
  }

  /** The network's table, which may be behind. */
  tableOf(vni: Vni): ReplicaTable | undefined {
    return this.byVni.get(vni)?.table;
  }

  /**
   * The session is over: changes and the rest of a base will not come. @param position to which it has brought tables that followed it
   */
  interrupt(position: Revision | undefined, nowMs: number): void {
    for (const [vni, replica] of this.byVni) {
      this.dropNext(replica);
      if (!replica.isBehind && position !== undefined) replica.position = position;
      replica.isBehind = true;
      replica.aloneSinceMs ??= nowMs;
      this.onShared(vni);
    }
  }

  /** Another store: positions in its log do not compare with those here. */
  forgetAll(): void {
    for (const vni of [...this.byVni.keys()]) this.drop(vni);
  }

  /** Others are forgotten. */
  keep(vnis: ReadonlySet<Vni>): void {
    for (const vni of [...this.byVni.keys()]) if (!vnis.has(vni)) this.drop(vni);
  }

  drop(vni: Vni): void {
    const replica = this.byVni.get(vni);
    if (!replica) return;
    this.byVni.delete(vni);
    this.onShared(vni);
    this.dropNext(replica);
    replica.table?.clear();
    this.listener?.onReplaced(vni);
  }

  /** The table is complete, and follows the changes. */
  isComplete(vni: Vni): boolean {
    return this.byVni.get(vni)?.isBehind === false;
  }

  /**
   * What a miss is answered with. @returns null: nothing is registered under the key; undefined: the controller has to be asked. Without
   * a session, what was registered elsewhere at its end: nothing new can be known then, and which VMs are here the held answers say
   */
  lookUp(key: BindingKey, nowMs: number): Answer | null | undefined {
    const { table, isBehind, aloneSinceMs } = this.byVni.get(key.vni) ?? {};
    if (!table) return undefined;
    if (!isBehind) return table.find(key) ?? null;
    if (aloneSinceMs === undefined || nowMs - aloneSinceMs > this.maxStaleMs) return undefined;
    const found = table.find(key);
    return found?.binding?.local ? undefined : found;
  }

  /** As `lookUp` answers bindings: where another thread finds them, if it may. */
  shared(vni: Vni): AnsweringTable | undefined {
    const { table, isBehind, aloneSinceMs } = this.byVni.get(vni) ?? {};
    if (!table || (isBehind && aloneSinceMs === undefined)) return undefined;
    return {
      table: table.shared,
      untilMs: isBehind ? (aloneSinceMs ?? 0) + this.maxStaleMs : Number.POSITIVE_INFINITY,
    };
  }

  /** Networks with a table and without a session. `isStale`: for too long, so that the table does not answer any more. */
  alone(nowMs: number): { readonly vni: Vni; readonly sinceMs: number; readonly isStale: boolean }[] {
    return [...this.byVni].flatMap(([vni, { table, aloneSinceMs: sinceMs }]) =>
      table && sinceMs !== undefined ? [{ vni, sinceMs, isStale: nowMs - sinceMs > this.maxStaleMs }] : [],
    );
  }

  /** What is registered, as far as it is known here. */
  find(key: BindingKey): Answer | undefined {
    return this.byVni.get(key.vni)?.table?.find(key);
  }

  /** There is a table, which may be behind. */
  has(vni: Vni): boolean {
    return this.byVni.get(vni)?.table !== undefined;
  }

  /** Every binding, as `ReplicaTable.answers`. */
  answers(vni: Vni): Iterable<Answer> {
    return this.byVni.get(vni)?.table?.answers() ?? [];
  }

  /** Keys with a binding. */
  size(vni: Vni): number {
    return this.byVni.get(vni)?.table?.size ?? 0;
  }

  bytesOf(vni: Vni): number {
    const { table, next } = this.byVni.get(vni) ?? {};
    return (table?.bytes ?? 0) + (next?.bytes ?? 0);
  }

  private fits(vni: Vni): boolean {
    if (this.bytes <= this.maxBytes) return true;
    const replica = this.byVni.get(vni);
    if (replica?.next && replica.table) {
      // It only answers without a session.
      const { table } = replica;
      delete replica.table;
      this.onShared(vni);
      table.clear();
      this.listener?.onReplaced(vni);
      return this.fits(vni);
    }
    this.drop(vni);
    return false;
  }

  private newTable(vni: Vni): ReplicaTable {
    const table: ReplicaTable = new ReplicaTable(vni, this.locations, Math.floor(this.random() * 2 ** 32), () => {
      if (this.byVni.get(vni)?.table === table) this.onShared(vni);
    });
    return table;
  }

  private noteChanged(vni: Vni, answers: readonly Answer[]): void {
    this.listener?.onChanged(
      vni,
      answers.map(({ key }) => key),
    );
  }

  private dropNext(replica: Replica): void {
    replica.next?.clear();
    delete replica.next;
  }
}

function write(table: ReplicaTable | undefined, answers: readonly Answer[]): void {
  if (table) for (const answer of answers) table.take(answer);
}
