// `nearmiss apply` and `nearmiss diff`: compare a file that is kept in git with the controller, and bring the
// controller to its state.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { Readable } from "node:stream";
import type { Command } from "../../common/commander.ts";
import type { Client } from "../client.ts";
import { connect } from "../connection.ts";
import { CliError, RefusedError } from "../errors.ts";
import type { Fleet } from "../fleet/document.ts";
import { type Fields, presentOf } from "../fleet/fleet.ts";
import { importLines, type Plan, planFleet } from "../fleet/plan.ts";
import { describePlan } from "../fleet/show.ts";
import { action, format } from "../output.ts";
import { plainDetail } from "../typed-fields.ts";
import {
  addImportWaitOptions,
  describeSummary,
  type ImportResult,
  type ImportSummary,
  importTimeoutMs,
  noteUnconfirmed,
  waitQuery,
} from "./import.ts";
import { type CommonOptions, subcommand } from "./resource.ts";
import { collect } from "./writing.ts";

interface FleetOptions extends CommonOptions {
  readonly file: readonly string[];
  readonly prune?: boolean;
}
interface ApplyOptions extends FleetOptions {
  readonly yes?: boolean;
  readonly dryRun?: boolean;
  readonly wait?: boolean;
  readonly timeout?: number;
}

/** Exit status of `diff` where there is a difference: none of those that failures have. */
const differs = 6;

export function addApplyCommand(program: Command): void {
  addImportWaitOptions(
    addFleetOptions(subcommand(program, "apply", "bring the controller to the state that a file describes")),
  )
    .description(
      "Shows the plan, asks for confirmation, and makes all changes in one revision or none. A second run changes nothing.\n" +
        "Resources that are not in the file stay as they are, unless --prune is given.",
    )
    .option("-y, --yes", "do not ask")
    .option("--dry-run", "let the controller check the plan, and change nothing")
    .action(action(apply));
}

export function addDiffCommand(program: Command): void {
  addFleetOptions(subcommand(program, "diff", "show how the controller differs from a file"))
    .description(`Shows what \`nearmiss apply\` would change. Exit status ${differs} if there are differences.`)
    .action(
      action(async (options: FleetOptions) => {
        const plan = await planOf(await connect(options), await readFleet(options), options);
        if (plan.steps.length > 0) process.exitCode = differs;
        return format(options.output, plan, () => describePlan(plan));
      }),
    );
}

function addFleetOptions(command: Command): Command {
  return command
    .requiredOption(
      "-f, --file <path>",
      "the fleet in YAML; - is standard input; may be repeated: the files together are the fleet",
      collect,
    )
    .option("--prune", "delete resources that are not in the file, of the kinds that have a section in it");
}

async function* apply(options: ApplyOptions): AsyncGenerator<string> {
  const { output, yes, dryRun } = options;
  const client = await connect(options);
  const fleet = await readFleet(options);
  const plan = await planOf(client, fleet, options);
  const isEmpty = plan.steps.length === 0;
  if (output === "table") yield isEmpty ? `nothing to do: ${describePlan(plan)}` : describePlan(plan);
  if (!isEmpty && !yes && !dryRun && !(await confirm(options.file))) throw new CliError("nothing was changed", 1);
  const result = isEmpty ? null : await send(client, plan, fleet, options);
  if (result) noteUnconfirmed(result);
  if (output !== "table") yield await format(output, { ...plan, result }, () => "");
  else if (result) yield describeSummary(result);
}

/** @throws CliError */
async function readFleet({ file }: FleetOptions): Promise<Fleet> {
  if (file.filter((each) => each === "-").length > 1) throw new CliError("-f - is standard input: name it once", 2);
  const { parseFleets } = await import("../fleet/document.ts");
  return parseFleets(file.map((each) => ({ path: each === "-" ? "standard input" : each, text: readInput(each) })));
}

async function planOf(client: Client, { wanted }: Fleet, { prune = false }: FleetOptions): Promise<Plan> {
  const lines: Fields[] = [];
  for await (const line of client.lines<Fields>("GET", "/v1/export")) lines.push(line);
  return planFleet(wanted, presentOf(lines), { prune });
}

/** One revision, or a refusal that names the faults where they are in the file. @throws CliError */
async function send(client: Client, plan: Plan, fleet: Fleet, options: ApplyOptions): Promise<ImportSummary> {
  const texts = importLines(plan.steps).map((line) => `${JSON.stringify(line)}\n`);
  const answer = client.lines<ImportResult | ImportSummary>("POST", "/v1/import", {
    body: Readable.from(texts, { objectMode: false }),
    query: { dryRun: options.dryRun === true, ...waitQuery(options) },
    headers: { "content-type": "application/x-ndjson" },
    timeoutMs: importTimeoutMs,
  });
  try {
    for await (const line of answer) if (line.kind === "summary") return line;
  } catch (error) {
    throw error instanceof RefusedError && error.type === "import-refused" ? inTheFile(error, plan, fleet) : error;
  }
  throw new CliError("the controller's answer ended early: `nearmiss diff` shows whether it was applied", 1);
}

/** The lines that were sent are the steps of the plan, which the user has not seen. */
function inTheFile({ faults, status }: RefusedError, { steps }: Plan, { placeOf }: Fleet): CliError {
  const lines = faults.map(({ line, pointer, detail }) => {
    const step = line === undefined ? undefined : steps[line - 1];
    const text = plainDetail(detail);
    if (!step) return `  ${text}`;
    const { kind, name } = step;
    const place = step.action === "delete" ? "to delete" : placeOf(kind, name);
    // Sentences about a resource begin with its name already.
    const subject = text.includes(`"${name}"`) ? [] : [`${kind} ${name}:`];
    const field = pointer === "" ? [] : [pointer.slice(1).replaceAll("/", ".")];
    return `  ${[`${place}:`, ...subject, ...field, text].join(" ")}`;
  });
  return new CliError(["the controller refuses the fleet, and nothing was changed:", ...lines].join("\n"), status);
}

/** @throws CliError if there is no terminal for the question */
async function confirm(files: readonly string[]): Promise<boolean> {
  if (files.includes("-") || !process.stdin.isTTY) {
    throw new CliError(
      "standard input is not a terminal, so the plan cannot be confirmed; nothing was changed: add --yes to apply it",
      2,
    );
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question("Apply this? [y/N] ");
  terminal.close();
  return /^y(es)?$/i.test(answer.trim());
}

/** @throws CliError */
function readInput(file: string): string {
  try {
    return readFileSync(file === "-" ? 0 : file, "utf8");
  } catch (error) {
    throw new CliError(`cannot read the fleet: ${error instanceof Error ? error.message : error}`, 2);
  }
}
