"use strict";
// `npm run test:versions [-- <ref>]`: controllers and agents of this tree with those of an earlier one, each way, on the real
// kernel. Without a ref the earlier one is the last tag, or in a clone without tags the last release commit.
const { execFileSync, spawnSync } = require("child_process");
const fs = require("fs");
const os = require("os");
const path = require("path");
const runtime = require("./runtime.cjs");

runtime.requireSupported();

const root = path.join(__dirname, "..");
const tests = ["test/kernel/end-to-end.test.ts", "test/kernel/repair.test.ts"];
const git = (...args) => execFileSync("git", args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

function lastTag() {
  try {
    return git("describe", "--tags", "--abbrev=0").trim();
  } catch {
    return "";
  }
}

function findRef() {
  try {
    const ref = process.argv[2] || lastTag() || git("log", "-1", "--format=%H", "--grep=^release: prepare ").trim();
    return git("rev-parse", "--verify", `${ref}^{commit}`).trim();
  } catch {
    process.stderr.write(
      "nearmiss: no tag, no release commit and no such ref: name the version to test with, such as a commit\n",
    );
    process.exit(2);
  }
}

function build(ref, tree) {
  git("worktree", "add", "--force", "--detach", tree, ref);
  const lock = (at) => fs.readFileSync(path.join(at, "package-lock.json"), "utf8");
  // Packages of its own where it was made with others.
  if (lock(tree) === lock(root)) fs.symlinkSync(path.join(root, "node_modules"), path.join(tree, "node_modules"));
  else {
    const { npm, env } = runtime.chooseRuntime(root);
    runtime.runNpm(npm, ["ci"], { cwd: tree, env });
  }
  execFileSync(process.execPath, [path.join(tree, "scripts", "build.cjs")], { cwd: tree, stdio: ["ignore", 2, 2] });
}

const ref = findRef();
const directory = fs.mkdtempSync(path.join(os.tmpdir(), "nearmiss-version-"));
const tree = path.join(directory, "tree");
let status = 0;
try {
  build(ref, tree);
  for (const part of ["CONTROLLER", "AGENT"]) {
    process.stderr.write(`nearmiss: ${part.toLowerCase()} of ${ref.slice(0, 7)}, everything else of this tree …\n`);
    const vitest = path.join(root, "node_modules", "vitest", "vitest.mjs");
    const env = { ...process.env, [`NEARMISS_${part}_TREE`]: tree };
    // Also after a failure: each direction is a finding of its own.
    const run = spawnSync(process.execPath, [vitest, "run", ...tests], { cwd: root, env, stdio: "inherit" });
    status = (run.status ?? 1) || status;
  }
} finally {
  git("worktree", "remove", "--force", tree);
  fs.rmSync(directory, { recursive: true, force: true });
}
process.exit(status);
