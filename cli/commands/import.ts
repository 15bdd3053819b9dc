// `nearmiss import`: many resources at once, as one revision.
import { createReadStream, fstatSync, openSync } from "node:fs";
import type { Readable } from "node:stream";
import type { Command } from "../../common/commander.ts";
import { defined } from "../../common/defined.ts";
import type { Unconfirmed } from "../../schema/rest/index.ts";
import { connect } from "../connection.ts";
import { parseDuration } from "../durations.ts";
import { CliError, RefusedError } from "../errors.ts";
import { action, type Cell, formatNext, formatRow } from "../output.ts";
import { progressOf } from "../progress.ts";
import { type CommonOptions, subcommand } from "./resource.ts";

export interface ImportResult {
  readonly line: number;
  readonly kind: "network" | "host" | "vm";
  readonly name: string;
  readonly result: "created" | "updated" | "unchanged" | "deleted";
}

export interface ImportSummary {
  readonly kind: "summary";
  readonly revision: number;
  readonly created: number;
  readonly updated: number;
  readonly unchanged: number;
  readonly deleted: number;
  readonly dryRun: boolean;
  /** The rest only with --wait. */
  readonly confirmed?: number;
  readonly of?: number;
  readonly unconfirmed?: readonly Unconfirmed[];
}

interface ImportOptions extends CommonOptions {
  readonly dryRun?: boolean;
  readonly wait?: boolean;
  readonly timeout?: number;
  readonly quiet?: boolean;
}

/** A million VMs are decided on and stored before the first byte of the answer. */
export const importTimeoutMs = 3_600_000;

/** Of `import` and `apply`. */
export function addImportWaitOptions(command: Command): Command {
  return command
    .option("--wait", "return when every host that it concerns has confirmed")
    .option("--timeout <time>", "how long to wait, at most 60s (default: 10s)", parseDuration);
}

/** Of the request. */
export function waitQuery({ wait, timeout = defaultWaitMs }: Pick<ImportOptions, "wait" | "timeout">) {
  return wait ? { wait: true, timeoutMs: timeout } : {};
}

const defaultWaitMs = 10_000;

export function addImportCommand(program: Command): void {
  addImportWaitOptions(subcommand(program, "import", "create, replace or delete many resources in one revision"))
    .description(
      'Reads NDJSON in the format of `nearmiss export`: one resource per line, {"kind":"vm","name":"web-1",…}, and a line with\n' +
        '"delete":true deletes. All or nothing: addresses may be swapped within the import, and if one line is refused,\n' +
        "nothing changes. Resources that are not named stay as they are.",
    )
    .argument("<file>", "NDJSON; - is standard input")
    .option("--dry-run", "check everything, change nothing")
    .option("-q, --quiet", "only the summary")
    .action(
      action(async function* (file: string, { dryRun, quiet, output, wait, timeout, ...options }: ImportOptions) {
        const { body, bytes } = openInput(file);
        const waiting = "sent; the controller decides and stores it";
        const progress = progressOf({ what: "sending", total: bytes, waiting });
        body.on("data", (chunk: Buffer) => progress.advance(chunk.length));
        const client = await connect(options);
        const lines = client.lines<ImportResult | ImportSummary>("POST", "/v1/import", {
          body,
          query: { dryRun, ...waitQuery(defined({ wait, timeout })) },
          headers: { "content-type": "application/x-ndjson" },
          timeoutMs: importTimeoutMs,
        });
        try {
          for await (const line of withoutFlood(lines, file)) {
            progress.stop();
            if (line.kind === "summary") noteUnconfirmed(line);
            if (line.kind === "summary" || !quiet) yield formatNext(output, line, () => describeLine(line));
          }
        } finally {
          progress.stop();
        }
      }),
    );
}

/** Text of another form, such as YAML, is one fault, not one for each line. @throws CliError */
async function* withoutFlood<Line>(lines: AsyncIterable<Line>, file: string): AsyncGenerator<Line> {
  try {
    yield* lines;
  } catch (error) {
    if (error instanceof RefusedError && isOfAnotherForm(error)) {
      const name = file === "-" ? "standard input" : file;
      throw new CliError(
        `${name} is not NDJSON, one JSON object on each line as \`nearmiss export\` prints it. Nothing was changed.\n` +
          "A fleet in YAML is for `nearmiss apply -f`, which shows its plan and asks before it changes anything.",
        error.status,
      );
    }
    throw error;
  }
}

/** Of NDJSON with a broken line, the lines before are right. */
function isOfAnotherForm({ faults }: RefusedError): boolean {
  const [first] = faults;
  if (!first?.detail.startsWith("must be one JSON object")) return false;
  // YAML may begin with empty lines, or with a comment.
  return first.line === 1 || (first.line !== undefined && first.line <= 3 && faults.length > 1);
}

const colours = { created: "green", updated: "yellow", deleted: "red", unchanged: "dim" } as const;

function describeLine(line: ImportResult | ImportSummary): string {
  if (line.kind === "summary") return describeSummary(line);
  const result: Cell = { text: line.result, colour: colours[line.result] };
  return formatRow([result, line.kind, line.name], [9, 7, 0]);
}

export function describeSummary(summary: ImportSummary): string {
  const { created, updated, deleted, unchanged, revision, dryRun, confirmed = 0, of, unconfirmed = [] } = summary;
  const counts = `${created} created, ${updated} updated, ${deleted} deleted, ${unchanged} unchanged`;
  const done = `${counts}${dryRun ? ": a dry run, nothing was changed" : ` at revision ${revision}`}\n`;
  if (of === undefined) return done;
  const missing = unconfirmed.map(({ host, why }) => `  ${host} has not: ${why}\n`);
  return `${done}${confirmed} of ${of === 1 ? "1 host" : `${of} hosts`} confirmed\n${missing.join("")}`;
}

/** The exit status tells a script that a host has not confirmed; the import stays in effect. */
export function noteUnconfirmed({ unconfirmed = [] }: ImportSummary): void {
  if (unconfirmed.length > 0) process.exitCode = 1;
}

/** @throws CliError */
function openInput(file: string): { readonly body: Readable; readonly bytes: number } {
  if (file === "-") return { body: process.stdin, bytes: 0 };
  try {
    const fd = openSync(file, "r");
    return { body: createReadStream(file, { fd }), bytes: fstatSync(fd).size };
  } catch (error) {
    throw new CliError(`cannot read what to import: ${error instanceof Error ? error.message : error}`, 2);
  }
}
