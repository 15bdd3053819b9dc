// Files for developers' tools say the same as those that they repeat.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");
const textOf = (file: string): string => readFileSync(join(root, file), "utf8");
/** Comments are on separate lines. */
const container = JSON.parse(textOf(".devcontainer/devcontainer.json").replace(/^\s*\/\/.*$/gm, "")) as {
  image: string;
  onCreateCommand: string;
  remoteUser: string;
};
const node = textOf(".nvmrc").trim();

describe("the dev container", () => {
  test("has the Node of .nvmrc, which is one that is tested", () => {
    expect(container.image).toMatch(new RegExp(`:${node}-`));
    expect(textOf("scripts/runtime.cjs")).toMatch(new RegExp(`[{ ]${node}: "${node}\\.`));
  });

  test("installs exactly the packages that set-up would", () => {
    const { programs, packagesOf } = createRequire(import.meta.url)(join(root, "scripts/programs.cjs")) as {
      programs: readonly { for: readonly string[] }[];
      packagesOf(program: unknown, distribution: string): string[];
    };
    const needed = programs.filter((program) => program.for.includes("test"));
    const wanted = [...new Set(needed.flatMap((program) => packagesOf(program, "debian")))];
    const [, installed = ""] = /--no-install-recommends (.*)$/.exec(container.onCreateCommand) ?? [];
    expect(wanted.length).toBeGreaterThan(0);
    expect(installed.split(" ").sort()).toEqual(wanted.sort());
  });
});

test("the coverage package has vitest's own version", () => {
  const { devDependencies } = JSON.parse(textOf("package.json")) as { devDependencies: Record<string, string> };
  expect(devDependencies["@vitest/coverage-v8"]).toBe(devDependencies.vitest);
});

test("revisions for git blame are full hashes", () => {
  const lines = textOf(".git-blame-ignore-revs").split("\n");
  expect(lines.filter((line) => line !== "" && !line.startsWith("#") && !/^[0-9a-f]{40}$/.test(line))).toEqual([]);
});
