// Whole networks in the agent's memory: what the controller sends of a network that the agent has subscribed to. No I/O. Nothing is
// written to the kernel from here.
import { type Answer, type Binding, type BindingKey, keyText, type Vni } from "../../schema/address/index.ts";

/** What is registered, by the text of the key. */
type Table = Map<string, Binding>;

interface Replica {
  /** Absent until the first base is complete. */
  table?: Table;
  /** A base that is being received: it replaces the table when it is complete. */
  next?: Table;
}

export class Replicas {
  private readonly byVni = new Map<Vni, Replica>();

  /** Subscribed: a base follows. A table from an earlier base stays until then. */
  begin(vni: Vni): void {
    const replica = this.byVni.get(vni) ?? {};
    replica.next = new Map();
    this.byVni.set(vni, replica);
  }

  /** Part of a base. */
  takeBase(vni: Vni, answers: readonly Answer[], end: boolean): void {
    const replica = this.byVni.get(vni);
    if (!replica?.next) return;
    write(replica.next, answers);
    if (!end) return;
    replica.table = replica.next;
    delete replica.next;
  }

  /** Changes of one revision. They are later than all parts of a base that came before them, and not in those. */
  takeDelta(vni: Vni, answers: readonly Answer[]): void {
    const replica = this.byVni.get(vni);
    for (const table of [replica?.table, replica?.next]) if (table) write(table, answers);
  }

  /** The session is over: the rest of a base will not come. */
  interrupt(): void {
    for (const replica of this.byVni.values()) delete replica.next;
  }

  /** Others are forgotten. */
  keep(vnis: ReadonlySet<Vni>): void {
    for (const vni of this.byVni.keys()) if (!vnis.has(vni)) this.byVni.delete(vni);
  }

  /** A base has been received as a whole. */
  isComplete(vni: Vni): boolean {
    return this.byVni.get(vni)?.table !== undefined;
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
