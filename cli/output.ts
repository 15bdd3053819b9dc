// What commands print: tables for people, JSON for programs, errors on standard error.
import { CliError } from "./connection.ts";

/** Columns as wide as their widest cell; the last one runs on. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows].map((row) => row.map(printable));
  const widths = header.map((_, i) => Math.max(...all.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  ");
  return all.map((row) => `${line(row).trimEnd()}\n`).join("");
}

/** Control characters could make a terminal show what is not so. */
export function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

export function formatJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** Runs a command's action; what it throws for people ends the process with its status. */
export function action<Args extends unknown[]>(run: (...args: Args) => Promise<string>) {
  return async (...args: Args): Promise<void> => {
    try {
      process.stdout.write(await run(...args));
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      process.stderr.write(`nearmiss: ${error.message}\n`);
      process.exitCode = error instanceof CliError ? error.status : 1;
    }
  };
}
