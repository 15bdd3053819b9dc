// Small C programs as a floor for measurements: compiled on the spot, where the machine has a compiler.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CommandError, run } from "../../lab/command.ts";

/** What is printed in place of a figure. */
export const absentCompiler = "absent: no cc on this machine";

export class NativeProgram {
  private constructor(
    readonly path: string,
    private readonly directory: string,
  ) {}

  /** @param name of the source beside this file, without `.c` @returns undefined without a compiler @throws CommandError */
  static async compile(name: "echo" | "write-entries"): Promise<NativeProgram | undefined> {
    const directory = mkdtempSync(join(tmpdir(), "nearmiss-bench-"));
    const path = join(directory, name);
    try {
      await run(["cc", "-O2", "-Wall", "-o", path, join(import.meta.dirname, `${name}.c`)]);
      return new NativeProgram(path, directory);
    } catch (error) {
      rmSync(directory, { recursive: true });
      if (error instanceof CommandError && typeof error.status === "string") return undefined;
      throw error;
    }
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
