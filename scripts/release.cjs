"use strict";
// `npm run release -- <version>`: checks, gives the changelog's "Unreleased" section the version and today's date, sets the version
// where it is stated, commits, and tags. It never pushes, so that everything can be looked at and undone first.
//
//   npm run release -- 0.2.0 --dry-run    check, and print what would be done
//   npm run release -- 0.2.0 --skip-ci    without `.ci/run` having passed for this commit
const { execFileSync } = require("child_process");
const fs = require("fs");
const path = require("path");

const root = path.join(__dirname, "..");
const usage = "usage: npm run release -- <version> [--dry-run] [--skip-ci]";

const git = (args, input = "") =>
  execFileSync("git", args, { cwd: root, encoding: "utf8", input, stdio: ["pipe", "pipe", "pipe"] }).trim();
const read = (file) => fs.readFileSync(path.join(root, file), "utf8");

/** @returns the arguments, or undefined where they are wrong */
function parseArguments(args) {
  const flags = args.filter((each) => each.startsWith("-"));
  const rest = args.filter((each) => !each.startsWith("-"));
  if (rest.length !== 1 || flags.some((flag) => !["--dry-run", "--skip-ci"].includes(flag))) return undefined;
  return { version: rest[0], dryRun: flags.includes("--dry-run"), skipCi: flags.includes("--skip-ci") };
}

/** Of three numbers; versions before 1.0.0 need no pre-releases. */
function parseVersion(text) {
  const [, ...numbers] = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$/.exec(text) || [];
  return numbers.length === 3 ? numbers.map(Number) : undefined;
}

/** Negative where `a` is earlier. */
function compareVersions(a, b) {
  const at = a.findIndex((number, i) => number !== b[i]);
  return at < 0 ? 0 : a[at] - b[at];
}

/** @returns the text between "## [Unreleased]" and the next version, trimmed; undefined without the heading */
function unreleasedSection(changelog) {
  const [, section] = /^## \[Unreleased\][^\n]*\n([\s\S]*?)(?=^## \[|(?![\s\S]))/m.exec(changelog) || [];
  return section === undefined ? undefined : section.trim();
}

/** @returns the obstacles to the release, for people */
function obstacles({ version, skipCi }, section) {
  const found = [];
  const wanted = parseVersion(version);
  if (!wanted) return [`"${version}" is not a version such as 0.2.0`];
  if (git(["status", "--porcelain"]) !== "") found.push("the working tree has changes: commit or stash them");
  const branch = git(["rev-parse", "--abbrev-ref", "HEAD"]);
  if (branch !== "main") found.push(`the branch is ${branch}: releases are made on main`);
  const tags = git(["tag", "--list", "v*"])
    .split("\n")
    .map((tag) => parseVersion(tag.slice(1)));
  const newest = tags.filter(Boolean).sort(compareVersions).pop();
  const current = JSON.parse(read("package.json")).version;
  if (newest && compareVersions(wanted, newest) <= 0)
    found.push(`v${newest.join(".")} is tagged: give a later version`);
  else if (compareVersions(wanted, parseVersion(current)) < 0)
    found.push(`package.json has ${current}: give a later version`);
  if (section === undefined) found.push('CHANGELOG.md has no heading "## [Unreleased]"');
  else if (section === "") found.push("CHANGELOG.md has nothing under Unreleased: write what users notice");
  if (!skipCi && !ciPassed()) found.push(".ci/run has not passed for this commit: run it, or give --skip-ci");
  return found;
}

function ciPassed() {
  const file = path.resolve(root, git(["rev-parse", "--git-path", "nearmiss-ci-passed"]));
  return fs.existsSync(file) && fs.readFileSync(file, "utf8").trim() === git(["rev-parse", "HEAD"]);
}

/** @returns the files of the release and their new text */
function releasedFiles(version, date) {
  const lock = JSON.parse(read("package-lock.json"));
  lock.version = version;
  lock.packages[""].version = version;
  return {
    "CHANGELOG.md": replaceOnce(
      read("CHANGELOG.md"),
      /^## \[Unreleased\][^\n]*$/m,
      `## [Unreleased]\n\n## [${version}] - ${date}`,
    ),
    "package.json": replaceOnce(read("package.json"), /^ {2}"version": "[^"]*"/m, `  "version": "${version}"`),
    "package-lock.json": `${JSON.stringify(lock, null, 2)}\n`,
    "schema/version.ts": replaceOnce(read("schema/version.ts"), /version = "[^"]*"/, `version = "${version}"`),
  };
}

function replaceOnce(text, pattern, replacement) {
  if (!pattern.test(text)) throw new Error(`nothing matches ${pattern}`);
  return text.replace(pattern, () => replacement);
}

function release(version, section, files) {
  const head = git(["rev-parse", "HEAD"]);
  try {
    for (const [file, text] of Object.entries(files)) fs.writeFileSync(path.join(root, file), text);
    git(["commit", "--quiet", "-m", `release: prepare ${version}`, "--", ...Object.keys(files)]);
    // Headings of the changelog begin with "#", which git takes for comments otherwise.
    git(["tag", "--annotate", "--cleanup=verbatim", "--file=-", `v${version}`], `nearmiss ${version}\n\n${section}\n`);
  } catch (error) {
    git(["reset", "--quiet", "--soft", head]);
    git(["checkout", "--quiet", head, "--", ...Object.keys(files)]);
    throw error;
  }
}

function main() {
  const options = parseArguments(process.argv.slice(2));
  if (!options) {
    process.stderr.write(`nearmiss: ${usage}\n`);
    return 2;
  }
  const { version, dryRun } = options;
  const section = unreleasedSection(read("CHANGELOG.md"));
  const found = obstacles(options, section);
  for (const obstacle of found) process.stderr.write(`nearmiss: ${obstacle}\n`);
  if (found.length > 0) {
    process.stderr.write(`nearmiss: ${version} was not released, nothing was changed\n`);
    return 1;
  }
  const files = releasedFiles(version, new Date().toISOString().slice(0, 10));
  if (dryRun) {
    const changed = Object.keys(files).filter((file) => files[file] !== read(file));
    process.stdout.write(
      `would change ${changed.join(", ")}, commit "release: prepare ${version}", and tag v${version} with:\n\n`,
    );
    process.stdout.write(`nearmiss ${version}\n\n${section}\n`);
    return 0;
  }
  release(version, section, files);
  process.stdout.write(
    `committed and tagged v${version}. Nothing was pushed: look at it with \`git show v${version}\`, then\n`,
  );
  process.stdout.write(`  git push --atomic origin main v${version}\n`);
  return 0;
}

try {
  process.exitCode = main();
} catch (error) {
  process.stderr.write(`nearmiss: not released, and what was changed is undone: ${error.stderr || error.message}\n`);
  process.exitCode = 1;
}
