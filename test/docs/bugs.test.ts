// docs/bugs.md: each row names a test that is there, and a commit that this clone has.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");

interface Bug {
  readonly seen: string;
  readonly commit: string;
  readonly file: string;
  readonly name: string;
}

function parseRow(line: string): Bug {
  const cells = line.split(" | ").map((cell) => cell.replace(/^\| | \|$/g, ""));
  const [seen = "", , commit = "", where = ""] = cells;
  const [, file = "", name = ""] = /^`(test\/[\w./-]+\.ts)`: `([^`]+)`$/.exec(where) ?? [];
  if (cells.length !== 4 || file === "" || !/^[0-9a-f]{7,40}$/.test(commit)) {
    throw new Error(`a row has not the form | seen | cause | commit | \`test/…\`: \`name\` |: ${line}`);
  }
  return { seen, commit, file, name };
}

const bugs = readFileSync(join(root, "docs/bugs.md"), "utf8")
  .split("\n")
  .filter((line) => line.startsWith("| ") && !/^\| (?:A user|A contributor) would/.test(line))
  .map(parseRow);

/** Names in the source contain their escapes. */
const textOf = (file: string): string => readFileSync(join(root, file), "utf8").replaceAll('\\"', '"');

test("there are bugs", () => {
  expect(bugs.length).toBeGreaterThan(20);
});

test.each(bugs)("$seen: $file has its test", ({ file, name }) => {
  expect(existsSync(join(root, file)), `${file} is not there: name its present file in docs/bugs.md`).toBe(true);
  expect(textOf(file).includes(name), `${file} has no test "${name}": name the present one in docs/bugs.md`).toBe(true);
});

/** Absent in an archive of the sources, incomplete in a shallow clone. */
function hasHistory(): boolean {
  if (!existsSync(join(root, ".git"))) return false;
  return git("rev-parse", "--is-shallow-repository").trim() === "false";
}

function git(...args: readonly string[]): string {
  return execFileSync("git", args, { cwd: root, encoding: "utf8" });
}

test.skipIf(!hasHistory())("every commit is in this history", () => {
  const known = git("rev-list", "HEAD").split("\n");
  expect(bugs.filter(({ commit }) => !known.some((hash) => hash.startsWith(commit)))).toEqual([]);
});
