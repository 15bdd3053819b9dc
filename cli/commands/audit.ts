// `nearmiss audit`: who changed what, when and from where.
import type { Command } from "commander";
import type { AuditView } from "../../schema/index.ts";
import { addConnectionOptions, type ConnectionOptions, callController, connectionHelp } from "../connection.ts";
import { parseDuration } from "../durations.ts";
import { action, formatTable } from "../output.ts";

interface AuditOptions extends ConnectionOptions {
  readonly since: number;
  readonly json?: boolean;
}

interface Page {
  readonly entries: readonly AuditView[];
  readonly next: number | null;
}

export function addAuditCommand(program: Command): void {
  addConnectionOptions(program.command("audit"))
    .summary("show who changed what, when and from where")
    .description("Prints the audit trail, oldest first: what was changed, with whose token, from where.")
    .option("--since <time>", "how far back, such as 30m, 1h or 7d", parseDuration, parseDuration("1h"))
    .option("--json", "print one JSON object a line")
    .addHelpText("after", connectionHelp)
    .action(
      action(async (options: AuditOptions) => {
        const entries = await readAll(options);
        if (options.json) return entries.map((entry) => `${JSON.stringify(entry)}\n`).join("");
        const header = ["TIME", "WHO", "FROM", "REVISION", "WHAT"];
        return formatTable(header, entries.map(rowOf));
      }),
    );
}

async function readAll(options: AuditOptions): Promise<AuditView[]> {
  const since = new Date(Date.now() - options.since).toISOString();
  const entries: AuditView[] = [];
  let after: number | null = 0;
  while (after !== null) {
    const path: string = `/v1/audit?since=${since}&after=${after}&limit=1000`;
    const page: Page = await callController<Page>(options, "GET", path);
    entries.push(...page.entries);
    after = page.next;
  }
  return entries;
}

function rowOf(entry: AuditView): string[] {
  const more = entry.changes > entry.what.length ? `, … ${entry.changes} in all` : "";
  const time = `${entry.time.slice(0, 19).replace("T", " ")}Z`;
  const who = `${entry.actor}, ${entry.role}`;
  return [time, who, entry.address ?? "this machine", String(entry.revision ?? "-"), entry.what.join(", ") + more];
}
