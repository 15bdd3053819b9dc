// Whole networks in the agent's memory: what the controller sends of a network that the agent has subscribed to. No I/O. Nothing is
// written to the kernel from here.
import {
  type Answer,
  type Binding,
  type BindingKey,
  keyText,
  type Revision,
  type Vni,
} from "../../schema/address/index.ts";

/** What is registered, by the text of the key. */
type Table = Map<string, Binding>;

interface Replica {
  /** Absent until the first base is complete. */
  table?: Table;
  /** A base that is being received: it replaces the table when it is complete. */
  next?: Table;
  /** The table lacks changes of before the subscription until the base is complete. */
  isBehind: boolean;
  /** Up to which the table has all changes, while it is behind. */
  position?: Revision;
}

export class Replicas {
  private readonly byVni = new Map<Vni, Replica>();

  /**
   * Subscribed: a base follows. A table from an earlier base stays until then.
   * @returns the position to which the table has all changes, if there is one
   */
  begin(vni: Vni): Revision | undefined {
    const replica = this.byVni.get(vni) ?? { isBehind: true };
    delete replica.next;
    replica.isBehind = true;
    this.byVni.set(vni, replica);
    return replica.table && replica.position;
  }

  /** Part of a base. @param isWhole it replaces the table; otherwise it has only what has changed */
  takeBase(vni: Vni, answers: readonly Answer[], { isWhole, end }: { isWhole: boolean; end: boolean }): void {
    const replica = this.byVni.get(vni);
    if (!replica?.isBehind) return;
    if (isWhole) replica.next ??= new Map();
    const target = isWhole ? replica.next : replica.table;
    if (target) write(target, answers);
    if (!end) return;
    if (isWhole && replica.next) replica.table = replica.next;
    delete replica.next;
    replica.isBehind = false;
  }

  /** Changes of one revision. They are later than all parts of a base that came before them, and not in those. */
  takeDelta(vni: Vni, answers: readonly Answer[]): void {
    const replica = this.byVni.get(vni);
    for (const table of [replica?.table, replica?.next]) if (table) write(table, answers);
  }

  /**
   * The session is over: changes and the rest of a base will not come. @param position to which it has brought tables that followed it
   */
  interrupt(position: Revision | undefined): void {
    for (const replica of this.byVni.values()) {
      delete replica.next;
      if (!replica.isBehind && position !== undefined) replica.position = position;
      replica.isBehind = true;
    }
  }

  /** Another store: positions in its log do not compare with those here. */
  forgetAll(): void {
    this.byVni.clear();
  }

  /** Others are forgotten. */
  keep(vnis: ReadonlySet<Vni>): void {
    for (const vni of this.byVni.keys()) if (!vnis.has(vni)) this.byVni.delete(vni);
  }

  /** The table is complete, and follows the changes. */
  isComplete(vni: Vni): boolean {
    return this.byVni.get(vni)?.isBehind === false;
  }

  find(key: BindingKey): Binding | undefined {
    return this.byVni.get(key.vni)?.table?.get(keyText(key));
  }

  /** Keys with a binding. */
  size(vni: Vni): number {
    return this.byVni.get(vni)?.table?.size ?? 0;
  }
}

function write(table: Table, answers: readonly Answer[]): void {
  for (const { key, binding } of answers) {
    if (binding) table.set(keyText(key), binding);
    else table.delete(keyText(key));
  }
}
