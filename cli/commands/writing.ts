// Creating and updating one resource: the flags that all kinds share, the request, and what is said of its outcome.
import { type Command, InvalidArgumentError } from "../../common/commander.ts";
import { defined } from "../../common/defined.ts";
import type { Query } from "../client.ts";
import { connect } from "../connection.ts";
import { CliError } from "../errors.ts";
import { parseCount } from "../numbers.ts";
import { format, formatTable } from "../output.ts";
import { type CommonOptions, pathOf, precondition } from "./resource.ts";
import type { Resource, View } from "./resource-kind.ts";

/** A label to set, or with null to remove. */
type LabelChange = readonly [key: string, value: string | null];

export interface WriteOptions extends CommonOptions {
  readonly label?: readonly LabelChange[];
  readonly description?: string;
  readonly dryRun?: boolean;
  readonly ifRevision?: number;
}

export function addCreateOptions(command: Command): Command {
  return addCommonOptions(command.option("-l, --label <key=value>", "a label; may be repeated", collectLabel));
}

export function addUpdateOptions(command: Command): Command {
  return addCommonOptions(
    command.option(
      "-l, --label <key=value>",
      "set a label, or with `key-` remove it; may be repeated",
      (text: string, before?: readonly LabelChange[]) =>
        text.endsWith("-") && !text.includes("=")
          ? [...(before ?? []), [text.slice(0, -1), null] as const]
          : collectLabel(text, before),
    ),
  ).option("--if-revision <n>", "only if it is at this revision", parseCount);
}

function addCommonOptions(command: Command): Command {
  return command
    .option("--description <text>", "free text for people")
    .option("--dry-run", "check everything, change nothing");
}

/** @throws InvalidArgumentError */
function collectLabel(text: string, before: readonly LabelChange[] = []): readonly LabelChange[] {
  const [, key, value] = /^([^=]+)=(.*)$/.exec(text) ?? [];
  if (key === undefined || value === undefined) throw new InvalidArgumentError("Write key=value, such as tier=web.");
  return [...before, [key, value]];
}

/** Any number of values of one option. */
export function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

/** How long the controller may wait before it answers, in addition to the usual time of a request. */
const marginMs = 10_000;

interface Write {
  /** The resource's own fields. */
  readonly fields: object;
  readonly query?: Query;
  /** How long the controller is asked to wait, ms. */
  readonly waitMs?: number;
}

export async function create<V extends View>(
  resource: Resource<V>,
  name: string,
  { fields, query = {}, waitMs }: Write,
  options: WriteOptions,
): Promise<string> {
  const view = await (await connect(options)).call<V>("POST", `/v1/${resource.plural}`, {
    body: { name, ...withoutAbsent(fields), ...metadataOf(options) },
    query: { ...query, dryRun: options.dryRun },
    once: true,
    ...(waitMs === undefined ? {} : { timeoutMs: waitMs + marginMs }),
  });
  const outcome = options.dryRun ? "would be created" : `is created at revision ${view.revision}`;
  return describe(resource, view, outcome, options);
}

/** A merge patch (RFC 7396): fields that are absent stay as they are. @throws CliError where there is nothing to change */
export async function update<V extends View>(
  resource: Resource<V>,
  name: string,
  { fields, query = {}, waitMs }: Write,
  options: WriteOptions,
): Promise<string> {
  const body = { ...withoutAbsent(fields), ...metadataOf(options) };
  if (Object.keys(body).length === 0) {
    throw new CliError(`nothing to change was given: \`nearmiss ${resource.kind} update --help\` lists it`, 2);
  }
  const view = await (await connect(options)).call<V>("PATCH", pathOf(resource, name), {
    body,
    query: { ...query, dryRun: options.dryRun },
    headers: { "content-type": "application/merge-patch+json", ...precondition(options.ifRevision) },
    ...(waitMs === undefined ? {} : { timeoutMs: waitMs + marginMs }),
  });
  return describe(resource, view, options.dryRun ? "would be as follows" : `is at revision ${view.revision}`, options);
}

/** The exit status also reports a failed wait. */
function describe<V extends View>(
  { noun, header, row, pending }: Resource<V>,
  view: V,
  outcome: string,
  options: WriteOptions,
): Promise<string> {
  const reason = pending?.(view);
  if (reason !== undefined) process.exitCode = 1;
  const note = reason === undefined ? "" : `not ready: ${reason}\n`;
  return format(
    options.output,
    view,
    () => `${noun} ${view.name} ${outcome}\n${formatTable(header, [row(view)])}${note}`,
  );
}

function metadataOf({ label, description }: WriteOptions): object {
  return {
    ...(label === undefined ? {} : { labels: Object.fromEntries(label) }),
    ...defined({ description }),
  };
}

function withoutAbsent(fields: object): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
