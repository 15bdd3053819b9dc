// `npm run release` in a clone of a repository with this tree's changelog and versions.
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");
const files = ["package.json", "package-lock.json", "schema/version.ts", "scripts/release.cjs", ".ci/passed"];
const changelog = [
  "# Changelog",
  "",
  "## [Unreleased]",
  "",
  "### Added",
  "",
  "- Costs $& and $1.",
  "",
  "## [0.0.9] - 2020-01-01",
  "",
  "- Old.",
  "",
].join("\n");

let directory: string;
let clone: string;

const gitIn = (where: string, ...args: string[]): string =>
  execFileSync("git", args, { cwd: where, encoding: "utf8" }).trim();
const git = (...args: string[]): string => gitIn(clone, ...args);
const textOf = (file: string): string => readFileSync(join(clone, file), "utf8");
const jsonOf = (file: string) => JSON.parse(textOf(file));

function release(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(clone, "scripts/release.cjs"), ...args], {
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

function identify(where: string): void {
  gitIn(where, "config", "user.name", "Test");
  gitIn(where, "config", "user.email", "test@example.org");
}

function commitChangelog(text: string): void {
  writeFileSync(join(clone, "CHANGELOG.md"), text);
  git("commit", "--quiet", "--all", "-m", "docs: change the changelog");
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "nearmiss-release-"));
  const origin = join(directory, "origin");
  clone = join(directory, "clone");
  for (const file of files) cpSync(join(root, file), join(origin, file));
  writeFileSync(join(origin, "CHANGELOG.md"), changelog);
  gitIn(origin, "init", "--quiet", "--initial-branch=main");
  identify(origin);
  gitIn(origin, "add", ".");
  gitIn(origin, "commit", "--quiet", "-m", "docs: begin");
  gitIn(directory, "clone", "--quiet", origin, clone);
  identify(clone);
});

afterEach(() => rmSync(directory, { recursive: true }));

describe("a release", () => {
  test("sets the version everywhere, moves the changelog's section, commits and tags, and pushes nothing", () => {
    const { status, stdout, stderr } = release("9.8.7", "--skip-ci");
    expect(stderr).toBe("");
    expect(status).toBe(0);
    expect(stdout).toContain("git push --atomic origin main v9.8.7");
    expect(jsonOf("package.json").version).toBe("9.8.7");
    expect(jsonOf("package-lock.json")).toMatchObject({ version: "9.8.7", packages: { "": { version: "9.8.7" } } });
    expect(textOf("schema/version.ts")).toContain('export const version = "9.8.7";');
    const today = new Date().toISOString().slice(0, 10);
    expect(textOf("CHANGELOG.md")).toBe(
      changelog.replace("## [Unreleased]\n", () => `## [Unreleased]\n\n## [9.8.7] - ${today}\n`),
    );
    expect(git("log", "-1", "--format=%s")).toBe("release: prepare 9.8.7");
    expect(git("diff", "--name-only", "HEAD^").split("\n")).toEqual([
      "CHANGELOG.md",
      "package-lock.json",
      "package.json",
      "schema/version.ts",
    ]);
    expect(git("cat-file", "-t", "v9.8.7")).toBe("tag");
    expect(git("rev-parse", "v9.8.7^{commit}")).toBe(git("rev-parse", "HEAD"));
    expect(git("tag", "-l", "--format=%(contents)", "v9.8.7")).toBe(
      "nearmiss 9.8.7\n\n### Added\n\n- Costs $& and $1.",
    );
    expect(git("status", "--porcelain")).toBe("");
    expect(gitIn(join(directory, "origin"), "tag")).toBe("");
    expect(gitIn(join(directory, "origin"), "rev-list", "--count", "HEAD")).toBe("1");
  });

  test("can be the first one, of the version that package.json already has", () => {
    const { version } = jsonOf("package.json");
    expect(release(version, "--skip-ci").status).toBe(0);
    expect(git("tag")).toBe(`v${version}`);
    expect(git("diff", "--name-only", "HEAD^")).toBe("CHANGELOG.md");
  });

  test("is printed by --dry-run, which changes nothing", () => {
    const before = git("rev-parse", "HEAD");
    const { status, stdout } = release("9.8.7", "--skip-ci", "--dry-run");
    expect(status).toBe(0);
    expect(stdout).toContain("would change CHANGELOG.md, package.json, package-lock.json, schema/version.ts");
    expect(stdout).toContain("- Costs $& and $1.");
    expect([git("status", "--porcelain"), git("tag"), git("rev-parse", "HEAD")]).toEqual(["", "", before]);
  });

  test("requires a passed .ci/run for this very commit", () => {
    const pass = () => execFileSync(join(clone, ".ci/passed"), [git("rev-parse", "HEAD")]);
    expect(release("9.8.7").stderr).toContain(".ci/run has not passed for this commit");
    writeFileSync(join(clone, "CHANGELOG.md"), `${changelog}\n`);
    pass();
    git("checkout", "--quiet", "CHANGELOG.md");
    expect(release("9.8.7", "--dry-run").status, "it ran on changed files").toBe(1);
    pass();
    expect(release("9.8.7", "--dry-run").status).toBe(0);
    commitChangelog(`${changelog}\n`);
    expect(release("9.8.7", "--dry-run").status, "it ran on the commit before").toBe(1);
  });

  test.each<[string, () => void, string]>([
    ["changes", () => writeFileSync(join(clone, "new"), ""), "the working tree has changes"],
    ["another branch", () => git("checkout", "--quiet", "-b", "topic"), "the branch is topic"],
    ["a later tag", () => git("tag", "v10.0.0"), "v10.0.0 is tagged: give a later version"],
    ["the same tag", () => git("tag", "v9.8.7"), "v9.8.7 is tagged: give a later version"],
    ["nothing to release", () => commitChangelog("# Changelog\n\n## [Unreleased]\n"), "nothing under Unreleased"],
    ["no section", () => commitChangelog("# Changelog\n"), 'no heading "## [Unreleased]"'],
  ])("is refused with %s", (_what, arrange, reason) => {
    arrange();
    const before = git("rev-parse", "HEAD");
    const tags = git("tag");
    const { status, stderr } = release("9.8.7", "--skip-ci");
    expect(status).toBe(1);
    expect(stderr).toContain(reason);
    expect(stderr).toContain("nothing was changed");
    expect([git("rev-parse", "HEAD"), git("tag")]).toEqual([before, tags]);
  });

  test("is undone if git refuses the tag", () => {
    // A directory of that name in refs/tags/ is in the way.
    git("tag", "v9.8.7/x");
    const before = git("rev-parse", "HEAD");
    const { status, stderr } = release("9.8.7", "--skip-ci");
    expect(status).toBe(1);
    expect(stderr).toContain("what was changed is undone");
    expect([git("rev-parse", "HEAD"), git("status", "--porcelain")]).toEqual([before, ""]);
  });

  test.each([
    [["1.2"], 1],
    [["v1.2.3"], 1],
    [["01.2.3"], 1],
    [[], 2],
    [["1.2.3", "--push"], 2],
    [["1.2.3", "1.2.4"], 2],
  ])("accepts no other arguments: %j", (args, expected) => {
    expect(release(...args).status).toBe(expected);
    expect(git("tag")).toBe("");
  });
});
