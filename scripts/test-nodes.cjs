"use strict";
// `npm run test:nodes`: the tests on every Node that nearmiss promises, each with native modules that were built for it.
// Every version has a directory of its own in the cache: Node with its headers, the installed packages, and a copy of this
// working tree. Only the copy is made anew at each run.
//
//   npm run test:nodes                            every version, all tests
//   npm run test:nodes -- 22 24                   these
//   npm run test:nodes -- 22 -- --project fast    what follows the second -- goes to vitest
const { execFileSync, spawnSync } = require("child_process");
const fs = require("fs");
const path = require("path");
const { cache, installRuntime, versions } = require("./runtime.cjs");

const root = path.join(__dirname, "..");

function stop(message) {
  process.stderr.write(`nearmiss: ${message}\n`);
  process.exit(2);
}

function parseArguments() {
  const given = process.argv.slice(2);
  const at = given.indexOf("--");
  const wanted = at < 0 ? given : given.slice(0, at);
  const unknown = wanted.filter((major) => !versions[major]);
  if (unknown.length > 0) {
    stop(
      `no Node ${unknown.join(", ")} here, but ${Object.keys(versions).join(", ")}; options of vitest come after --`,
    );
  }
  return { majors: wanted.length > 0 ? wanted : Object.keys(versions), vitest: at < 0 ? [] : given.slice(at + 1) };
}

/** Copies the files that git tracks or would add; installed packages stay. */
function copyTree(to) {
  fs.mkdirSync(to, { recursive: true });
  for (const name of fs.readdirSync(to)) {
    if (name !== "node_modules") fs.rmSync(path.join(to, name), { recursive: true });
  }
  const list = execFileSync("git", ["ls-files", "-coz", "--exclude-standard"], { cwd: root, encoding: "utf8" });
  for (const name of list.split("\0")) {
    const from = path.join(root, name);
    if (name && fs.existsSync(from)) fs.cpSync(from, path.join(to, name));
  }
}

function testOn(version, vitest) {
  const { node, env } = installRuntime(version);
  const tree = path.join(cache, version, "tree");
  copyTree(tree);
  const run = (...args) => spawnSync(node, args, { cwd: tree, env, stdio: "inherit" }).status;
  return run("scripts/setup.cjs", "test") === 0
    ? run(path.join("node_modules", "vitest", "vitest.mjs"), "run", ...vitest)
    : 1;
}

const { majors, vitest } = parseArguments();
const results = majors.map((major) => {
  process.stderr.write(`\nnearmiss: ── Node ${versions[major]}\n`);
  return { version: versions[major], status: testOn(versions[major], vitest) };
});
for (const { version, status } of results) {
  process.stdout.write(`Node ${version}: ${status === 0 ? "passed" : "FAILED"}\n`);
}
process.exit(results.every(({ status }) => status === 0) ? 0 : 1);
