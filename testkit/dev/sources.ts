// The programs in the form that runs: each source is compiled by itself when it changes, without its types being checked. That
// takes milliseconds, where a build takes seconds; the editor and `npm run types` check types.
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { transformWithOxc } from "vite";

/** The sources of the controller and of the agents. */
export const programFolders = ["bin", "cli", "common", "controller", "node-agent", "schema"] as const;

/** A source that does not compile; the message has the place. */
export class SourceError extends Error {
  override readonly name = "SourceError";
}

export class Sources {
  /** @param output is replaced by `compileAll` */
  constructor(
    readonly root: string,
    readonly output: string,
  ) {}

  /** Every source once. @throws SourceError */
  async compileAll(): Promise<void> {
    await rm(this.output, { recursive: true, force: true });
    for (const folder of programFolders)
      await Promise.all((await this.#filesIn(folder)).map((file) => this.compile(file)));
  }

  /**
   * Brings the output of one source up to date, also where the source was deleted.
   * @param file below the root
   * @returns whether a program can notice. @throws SourceError, and the output is as before
   */
  async compile(file: string): Promise<boolean> {
    const source = join(this.root, file);
    const target = join(this.output, file.replace(/\.ts$/, ".js"));
    if (!isProgramFile(file)) return false;
    await mkdir(dirname(target), { recursive: true });
    try {
      if (!file.endsWith(".ts")) await cp(source, target);
      else {
        const code = await compileText(source, await readFile(source, "utf8"));
        if (code === (await readFile(target, "utf8").catch(() => undefined))) return false;
        await writeFile(target, code);
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      await rm(target, { force: true });
    }
    return true;
  }

  async #filesIn(folder: string): Promise<string[]> {
    // A folder that another version adds or removes is not an error of the watcher.
    const entries = await readdir(join(this.root, folder), { withFileTypes: true, recursive: true }).catch(() => []);
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => relative(this.root, join(entry.parentPath, entry.name)));
  }
}

/** @param file below the root */
function isProgramFile(file: string): boolean {
  const isOurs = programFolders.some((folder) => file.startsWith(`${folder}/`));
  return isOurs && /(?:(?<!\.d)\.ts|\.sql)$/.test(file);
}

async function compileText(source: string, text: string): Promise<string> {
  try {
    const { code, map } = await transformWithOxc(text, source, {
      target: "es2023",
      sourcemap: true,
      typescript: { rewriteImportExtensions: "rewrite", onlyRemoveTypeImports: true },
    });
    const encoded = Buffer.from(JSON.stringify(map)).toString("base64");
    return `${code}\n//# sourceMappingURL=data:application/json;base64,${encoded}\n`;
  } catch (error) {
    throw new SourceError(`${source} does not compile: ${error instanceof Error ? error.message : String(error)}`);
  }
}
