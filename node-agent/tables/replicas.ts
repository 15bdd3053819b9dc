// Whole networks in the agent's memory: what the controller sends of a network that the agent has subscribed to. No I/O.
import type { Answer, BindingKey, Revision, Vni } from "../../schema/address/index.ts";
import { Locations } from "./locations.ts";
import { ReplicaTable } from "./replica-table.ts";

interface Replica {
  /** Absent until the first base is complete. */
  table?: ReplicaTable;
  /** A base that is being received: it replaces the table when it is complete. */
  next?: ReplicaTable;
  /** The table lacks changes of before the subscription until the base is complete. */
  isBehind: boolean;
  /** There is no session: the table is as it was at its end. */
  isAlone: boolean;
  /** Up to which the table has all changes, while it is behind. */
  position?: Revision;
}

/** 256 MiB: some 6 million addresses. */
export const defaultReplicaBytes = 256 * 2 ** 20;

export interface ReplicasOptions {
  /** Of all tables together; default `defaultReplicaBytes`. */
  readonly maxBytes?: number;
  /** In [0, 1). */
  readonly random: () => number;
}

export class Replicas {
  readonly maxBytes: number;
  private readonly byVni = new Map<Vni, Replica>();
  private readonly locations = new Locations();
  private readonly random: () => number;

  constructor({ maxBytes = defaultReplicaBytes, random }: ReplicasOptions) {
    this.maxBytes = maxBytes;
    this.random = random;
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
    const replica = this.byVni.get(vni) ?? { isBehind: true, isAlone: false };
    this.dropNext(replica);
    replica.isBehind = true;
    replica.isAlone = false;
    this.byVni.set(vni, replica);
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
    if (isWhole) replica.next ??= new ReplicaTable(vni, this.locations, Math.floor(this.random() * 2 ** 32));
    write(isWhole ? replica.next : replica.table, answers);
    if (!this.fits(vni)) return false;
    if (!end) return true;
    if (isWhole && replica.next) {
      replica.table?.clear();
      replica.table = replica.next;
    }
    delete replica.next;
    replica.isBehind = false;
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
    return this.fits(vni);
  }

  /**
   * The session is over: changes and the rest of a base will not come. @param position to which it has brought tables that followed it
   */
  interrupt(position: Revision | undefined): void {
    for (const replica of this.byVni.values()) {
      this.dropNext(replica);
      if (!replica.isBehind && position !== undefined) replica.position = position;
      replica.isBehind = true;
      replica.isAlone = true;
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
    this.dropNext(replica);
    replica.table?.clear();
    this.byVni.delete(vni);
  }

  /** The table is complete, and follows the changes. */
  isComplete(vni: Vni): boolean {
    return this.byVni.get(vni)?.isBehind === false;
  }

  /**
   * What a miss is answered with. @returns null: nothing is registered under the key; undefined: the controller has to be asked. Without
   * a session, what was registered at its end: nothing new can be known then
   */
  lookUp(key: BindingKey): Answer | null | undefined {
    const replica = this.byVni.get(key.vni);
    if (!replica?.table || (replica.isBehind && !replica.isAlone)) return undefined;
    return replica.table.find(key) ?? (replica.isAlone ? undefined : null);
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
      replica.table.clear();
      delete replica.table;
      return this.fits(vni);
    }
    this.drop(vni);
    return false;
  }

  private dropNext(replica: Replica): void {
    replica.next?.clear();
    delete replica.next;
  }
}

function write(table: ReplicaTable | undefined, answers: readonly Answer[]): void {
  if (table) for (const answer of answers) table.take(answer);
}
