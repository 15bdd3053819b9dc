// Output of commands: tables for people, JSON and YAML for programs, errors on standard error.

import picocolors from "picocolors";
import { type Command, Option } from "../common/commander.ts";
import { CliError } from "./errors.ts";

/** What people read is called a table or a text. */
export type Format = "table" | "wide" | "name" | "text" | "json" | "yaml";
export interface OutputOptions {
  readonly output: Format;
}

/** `-o` with its short form `--json`: the same on every command that prints data. */
export function addOutputOption(
  command: Command,
  human: "table" | "text" | null = "table",
  more: readonly ("wide" | "name")[] = [],
): Command {
  const formats = [...(human ? [human] : []), ...more, "json", "yaml"];
  return command
    .addOption(new Option("-o, --output <format>", "how to print").choices(formats).default(formats[0]))
    .addOption(new Option("--json", "the same as -o json").conflicts("output"))
    .hook("preAction", () => {
      if (command.getOptionValue("json") === true) command.setOptionValue("output", "json");
    });
}

/** Colours on a terminal only, and none where NO_COLOR (https://no-color.org) is set. */
export function mayColour(env: NodeJS.ProcessEnv, isTerminal: boolean): boolean {
  if (env.NO_COLOR) return false;
  return env.FORCE_COLOR ? env.FORCE_COLOR !== "0" : isTerminal && env.TERM !== "dumb";
}

const paints = picocolors.createColors(mayColour(process.env, process.stdout.isTTY === true));
export type Colour = "red" | "green" | "yellow" | "bold" | "dim";
/** A cell that shows more than its text. */
export interface Painted {
  readonly text: string;
  readonly colour: Colour;
}
export type Cell = string | Painted;

/** The paint has no part in the width. */
export function paint(cell: Cell, width = 0): string {
  if (typeof cell === "string") return printable(cell).padEnd(width);
  const text = printable(cell.text);
  return paints[cell.colour](text) + " ".repeat(Math.max(0, width - text.length));
}

/** Columns as wide as their widest cell; the last one runs on. Nothing is shortened. */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly Cell[])[],
  { headers = true }: { readonly headers?: boolean } = {},
): string {
  const widths = columnWidths(headers ? header : header.map(() => ""), rows);
  const head = header.map((text): Cell => ({ text, colour: "bold" }));
  return [...(headers ? [head] : []), ...rows].map((row) => formatRow(row, widths)).join("");
}

export function textOfCell(cell: Cell): string {
  return typeof cell === "string" ? cell : cell.text;
}

export function columnWidths(header: readonly string[], rows: readonly (readonly Cell[])[]): number[] {
  const width = (cell: Cell | undefined) => printable(typeof cell === "object" ? cell.text : (cell ?? "")).length;
  return header.map((title, i) => rows.reduce((max, row) => Math.max(max, width(row[i])), title.length));
}

export function formatRow(row: readonly Cell[], widths: readonly number[]): string {
  const last = row.length - 1;
  return `${row
    .map((cell, i) => paint(cell, i === last ? 0 : widths[i]))
    .join("  ")
    .trimEnd()}\n`;
}

/** Names and values under each other. */
export function formatFields(fields: readonly (readonly [name: string, value: Cell])[]): string {
  const width = Math.max(...fields.map(([name]) => name.length)) + 1;
  return fields.map(([name, value]) => `${`${name}:`.padEnd(width)} ${paint(value)}`.trimEnd().concat("\n")).join("");
}

/**
 * Control characters could falsify the output of a terminal, and so could those that change the direction of the
 * following text, beyond their own cell (UAX #9 §2: embeddings, overrides, isolates). The marks of ordinary
 * right-to-left text stay.
 */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (char) => {
    const code = char.charCodeAt(0).toString(16);
    return code.length > 2 ? `\\u${code}` : `\\x${code.padStart(2, "0")}`;
  });
}

/** One thing in the format asked for. */
export async function format(as: Format, value: unknown, human: () => string): Promise<string> {
  if (as === "json") return `${JSON.stringify(value, null, 2)}\n`;
  return as === "yaml" ? formatYaml(value) : human();
}

/** One of a sequence of values: programs read one object per line, or one YAML document each. */
export async function formatNext(as: Format, value: unknown, human: () => string): Promise<string> {
  if (as === "json") return `${JSON.stringify(value)}\n`;
  return as === "yaml" ? `---\n${await formatYaml(value)}` : human();
}

export async function formatYaml(value: unknown): Promise<string> {
  const { stringify } = await import("yaml");
  return stringify(value, { lineWidth: 0 });
}

type Printed = string | AsyncIterable<string>;

/** Runs a command's action and prints its result; an error for users ends the process with its status. */
export function action<Args extends unknown[]>(run: (...args: Args) => Promise<Printed> | Printed) {
  return async (...args: Args): Promise<void> => {
    try {
      const printed = await run(...args);
      for await (const text of typeof printed === "string" ? [printed] : printed) await write(text);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      process.stderr.write(`nearmiss: ${error.message.split("\n").map(printable).join("\n")}\n`);
      process.exitCode = error instanceof CliError ? error.status : 1;
    }
  };
}

/** At the reader's pace. Resolves also if the reader has closed: `bin/nearmiss.ts` ends the process then. */
function write(text: string): Promise<void> {
  return new Promise((resolve) => process.stdout.write(text, () => resolve()));
}
