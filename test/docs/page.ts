// A page and the real output of its commands. `NEARMISS_WRITE_DOCS=1` writes differences into pages, to be read and
// shortened by hand.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { fitsOutput, type Step, stepsOf } from "./console-blocks.ts";

export class Page {
  readonly steps: readonly Step[];
  readonly #file: string;
  readonly #text: string;

  /** @param path in the repository */
  constructor(private readonly path: string) {
    this.#file = join(import.meta.dirname, "../..", path);
    this.#text = readFileSync(this.#file, "utf8");
    this.steps = stepsOf(this.#text);
    expect(this.steps.length, `commands on ${path}`).toBeGreaterThan(0);
  }

  /** @param printed by each of these steps of the page */
  expectAsShown(steps: readonly Step[], printed: readonly (readonly string[])[]): void {
    const differing = steps.flatMap(({ line, command, output }, i) => {
      const real = printed[i] ?? ["(was not run)"];
      if (!output) {
        expect(printed[i], `${this.path}:${line}: the script was run`).toBeDefined();
        return [];
      }
      return fitsOutput(output, real) ? [] : [{ page: this.path, line, command, shown: output, real }];
    });
    if (process.env.NEARMISS_WRITE_DOCS) this.#write(differing);
    else expect(differing).toEqual([]);
  }

  #write(differing: readonly (Pick<Step, "line" | "command"> & Record<"shown" | "real", readonly string[]>)[]): void {
    const lines = this.#text.split("\n");
    for (const { line, command, shown, real } of differing.toReversed()) {
      lines.splice(line - 1 + command.split("\n").length, shown.length, ...real);
    }
    if (differing.length > 0) writeFileSync(this.#file, lines.join("\n"));
  }
}
