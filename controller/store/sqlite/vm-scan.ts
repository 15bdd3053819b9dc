// All stored VMs, read by the hundreds: SQLite joins the rows of a part into one text, so that a start does not cross from C to
// JavaScript for each value of each row.
import type { Database } from "better-sqlite3";
import type { Vm } from "../../../schema/rest/index.ts";
import { PackedVm } from "../../inventory/packed/packed-vm.ts";
import { fromVmValues, vmColumns } from "./rows.ts";
import { fieldEnd, VmText, vmEnd } from "./vm-text.ts";

/** VMs whose text stays in the processor's cache while it is read. */
const partSize = 512;

export class VmScan {
  private readonly statements: ReturnType<typeof prepare>;

  constructor(db: Database) {
    this.statements = prepare(db);
  }

  /** In a transaction: each VM in order of names, most of them by `onPacked`, whose record is only good during the call. */
  read(onVm: (vm: Vm) => void, onPacked: (vm: PackedVm) => void): void {
    const vm = new PackedVm();
    const text = new VmText(vm);
    let last = "";
    for (let part = this.readPart(last); part.text; part = this.readPart(last)) {
      text.begin(part.text);
      let count = 0;
      for (; !text.atEnd; count++) {
        if (text.next()) onPacked(vm);
        else onVm(this.readOne(text.skip()));
      }
      if (count !== part.count)
        throw new SyntaxError(`${part.count} rows of vms behind "${last}" are not what was written`);
      last = part.last;
    }
  }

  private readPart(behind: string): {
    readonly text: Uint8Array | null;
    readonly count: number;
    readonly last: string;
  } {
    return this.statements.part.get(behind, partSize) as never;
  }

  private readOne(name: string): Vm {
    const values = this.statements.one.get(name);
    if (values === undefined) throw new SyntaxError(`the row of VM "${name}" in vms is not what was written`);
    return fromVmValues(values as unknown[]);
  }
}

function prepare(db: Database) {
  const fields = [
    ...["name", "uid", "host", "revision", "labels"],
    "iif(description = '', '', json_quote(description))",
    // Few VMs have more: they are read one by one.
    "iif(prepared_host IS NULL AND owner_networks IS NULL, interfaces, '')",
  ];
  return {
    part: db.prepare(
      `SELECT CAST(group_concat(concat_ws(char(${fieldEnd}), ${fields.join(", ")}), char(${vmEnd})) AS BLOB) AS text, ` +
        "count(*) AS count, max(name) AS last FROM (SELECT * FROM vms WHERE name > ? ORDER BY name LIMIT ?)",
    ),
    one: db.prepare(`SELECT ${vmColumns} FROM vms WHERE name = ?`).raw(),
  };
}
