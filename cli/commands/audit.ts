// `nearmiss audit`: who changed what, when and from where.
import type { Command } from "../../common/commander.ts";
import type { AuditView } from "../../schema/rest/index.ts";
import { addConnectionOptions, type ConnectionOptions, callController, connectionHelp } from "../connection.ts";
import { parseDuration } from "../durations.ts";
import { action, addOutputOption, formatNext, formatTable, type OutputOptions } from "../output.ts";

interface AuditOptions extends ConnectionOptions, OutputOptions {
  readonly since: number;
}

interface Page {
  readonly entries: readonly AuditView[];
  readonly next: number | null;
}

export function addAuditCommand(program: Command): void {
  addOutputOption(addConnectionOptions(program.command("audit")))
    .summary("show who changed what, when and from where")
    .description("Prints the audit trail, oldest first: each change with the token and the address that it came from.")
    .option("--since <time>", "how far back, such as 30m, 1h or 7d", parseDuration, parseDuration("1h"))
    .addHelpText("after", connectionHelp)
    .action(
      action(async function* ({ output, ...options }: AuditOptions) {
        const entries = await readAll(options);
        if (output === "table") yield formatTable(["TIME", "WHO", "FROM", "REVISION", "WHAT"], entries.map(rowOf));
        else for (const entry of entries) yield formatNext(output, entry, () => "");
      }),
    );
}

async function readAll(options: Omit<AuditOptions, "output">): Promise<AuditView[]> {
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
