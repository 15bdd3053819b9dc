// One table of nf_tables that only the agent uses: loaded in one transaction, read back, and recognised by its content.
import { runCommand } from "./commands.ts";
import { type ReadTable, readTable } from "./readback.ts";

/** Reserved for the agent: tables of this name, in either family, are deleted when the agent runs without the guard. */
export const tableName = "nearmiss";

export interface Elements {
  /** For nft. */
  readonly script: string;
  /** Number of elements of each set after that. */
  readonly sizes: ReadonlyMap<string, number>;
}

/** Exactly these elements in each set, in one transaction. */
export function fillScript(family: string, sets: ReadonlyMap<string, readonly string[]>, name = tableName): Elements {
  const script = [...sets].flatMap(([set, members]) => [
    `flush set ${family} ${name} ${set}`,
    ...(members.length > 0 ? [`add element ${family} ${name} ${set} { ${members.join(", ")} }`] : []),
  ]);
  return { script: `${script.join("\n")}\n`, sizes: new Map([...sets].map(([set, { length }]) => [set, length])) };
}

/** The rules differ from those that were loaded. */
export class RuleError extends Error {
  override readonly name = "RuleError";
}

export class RuleTable {
  /** The kernel's output right after loading. */
  private fingerprint: string | undefined;

  /** @param script the table without elements; it replaces a table of that name */
  constructor(
    private readonly family: "bridge" | "inet",
    private readonly script: string,
    private readonly name = tableName,
  ) {}

  /** @throws CommandError */
  async create(elements: Elements): Promise<void> {
    await runCommand("nft", ["-f", "-"], this.script + elements.script);
  }

  /** @returns the table as the kernel shows it then @throws CommandError, RuleError */
  async fill({ script, sizes }: Elements): Promise<ReadTable> {
    await runCommand("nft", ["-f", "-"], script);
    const table = await this.read();
    const missing = [...sizes].find(([set, size]) => table?.sizes.get(set) !== size);
    if (!table || missing) {
      throw new RuleError(`the kernel does not show what was loaded${missing ? ` into ${missing[0]}` : ""}`);
    }
    this.fingerprint = table.fingerprint;
    return table;
  }

  /** @returns undefined if it differs from the last loaded one, or is absent @throws CommandError */
  async look(): Promise<ReadTable | undefined> {
    const table = await this.read();
    return table?.fingerprint === this.fingerprint ? table : undefined;
  }

  /** @throws CommandError */
  async read(): Promise<ReadTable | undefined> {
    if (!(await exists(this.family, this.name))) return undefined;
    return readTable(await runCommand("nft", ["-j", "list", "table", this.family, this.name]));
  }
}

async function exists(family: string, name: string): Promise<boolean> {
  return (await runCommand("nft", ["-j", "list", "tables", family])).includes(`"name": "${name}"`);
}

/** What an earlier run with a guard has left goes. @throws CommandError where nft is there and refuses */
export async function removeTable(family: "bridge" | "inet", name = tableName): Promise<void> {
  if (await exists(family, name).catch(() => false)) await runCommand("nft", ["delete", "table", family, name]);
}
