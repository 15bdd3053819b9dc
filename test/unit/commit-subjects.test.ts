// The rules for subjects of commits, and that those of this clone keep them.
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");
const script = "scripts/check-commits.cjs";
const checks = createRequire(import.meta.url)(join(root, script)) as {
  areasOf(contributing: string): string[];
  faultsOf(subject: string, areas: readonly string[]): string[];
};
const areas = checks.areasOf(readFileSync(join(root, "CONTRIBUTING.md"), "utf8"));

describe("subjects of commits", () => {
  test.each([
    "node-agent: bound what a flood of source MAC addresses costs",
    "test, docs: add a table of bugs",
    "controller: process imports in slices",
    "cli: seed completion with names",
    "build: re-create dist/ when a source is removed",
    `docs: ${"x".repeat(66)}`,
  ])("%s", (subject) => {
    expect(checks.faultsOf(subject, areas)).toEqual([]);
  });

  test.each([
    ["docs: how soon an agent is there", '"how" is not an imperative verb'],
    ["test: a page hears of a theft in its own time", '"a" is not an imperative verb'],
    ["lab, docs: parameters without use are gone", '"parameters" is not an imperative verb'],
    ["schema: added a field", '"added" is not an imperative verb'],
    ["schema: adding a field", '"adding" is not an imperative verb'],
    ["schema: Add a field", '"Add" is not an imperative verb'],
    ["schema: add a field.", "it ends with a period"],
    ["agents: add a frame", '"agents" is not in the list of areas'],
    ["test, agents: add a frame", '"agents" is not in the list of areas'],
    ["add a frame", "it does not have the form"],
    [`docs: ${"x".repeat(67)}`, "it has 73 characters"],
  ])("%s: %s", (subject, fault) => {
    expect(checks.faultsOf(subject, areas).join("; ")).toContain(fault);
  });

  test("are read from git: a wrong one is named with its commit, and a missing range is an error", () => {
    const directory = mkdtempSync(join(tmpdir(), "nearmiss-commits-"));
    const git = (...args: string[]) =>
      execFileSync("git", ["-c", "user.name=x", "-c", "user.email=x@example.org", ...args], { cwd: directory });
    const check = (range: string) => {
      const { status, stdout, stderr } = spawnSync(process.execPath, [join(directory, script), range], {
        encoding: "utf8",
      });
      return { status, output: stdout + stderr };
    };
    try {
      for (const file of [script, "CONTRIBUTING.md"]) cpSync(join(root, file), join(directory, file));
      git("init", "--quiet");
      git("commit", "--quiet", "--allow-empty", "-m", "docs: add a page");
      git("commit", "--quiet", "--allow-empty", "-m", "docs: the page is right");
      expect(check("HEAD^")).toEqual({ status: 0, output: "1 commit subjects are right\n" });
      const wrong = check("HEAD");
      expect(wrong.output).toMatch(/^[0-9a-f]{7,} "docs: the page is right": "the" is not an imperative verb/);
      expect(wrong.status).toBe(1);
      const absent = check("0000000..HEAD");
      expect(absent.output).toContain("git fetch --unshallow");
      expect(absent.status).toBe(2);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
