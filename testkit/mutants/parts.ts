// The pure parts of controller and agent, and the fast tests that import from them.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

export interface Part {
  readonly name: string;
  /** A folder of sources, or one file. */
  readonly path: string;
}

export const parts: readonly Part[] = [
  { name: "misses", path: "node-agent/misses" },
  { name: "tables", path: "node-agent/tables" },
  { name: "codec", path: "node-agent/kernel/codec" },
  { name: "inventory", path: "controller/inventory" },
  { name: "rows", path: "controller/inventory/packed" },
  { name: "pending", path: "controller/write/pending.ts" },
  { name: "interest", path: "controller/agents/interest.ts" },
];

export interface Source {
  /** From the root of the repository. */
  readonly file: string;
  readonly text: string;
}

/** A folder within a part's folder is a part of its own. */
export function isOf({ path }: Pick<Part, "path">, file: string): boolean {
  return file === path || dirname(file) === path;
}

export function sourcesOf({ path }: Part): Source[] {
  const names = statSync(path).isDirectory() ? readdirSync(path).filter((name) => name.endsWith(".ts")) : [];
  const files = names.length > 0 ? names.map((name) => join(path, name)) : [path];
  return files.sort().map((file) => ({ file, text: readFileSync(file, "utf8") }));
}

const testFolders = ["test/unit", "test/property"];

const importedFrom = /^import [^;]*? from "\.\.\/\.\.\/([^"]+)";$/gm;

/** Unit and property tests that import from a part, be it a type: its code may reach them through a helper. */
export function testsOf(part: Pick<Part, "path">): string[] {
  return testFolders
    .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
    .filter((file) => {
      if (!file.endsWith(".test.ts")) return false;
      return [...readFileSync(file, "utf8").matchAll(importedFrom)].some(([, source = ""]) => isOf(part, source));
    });
}
