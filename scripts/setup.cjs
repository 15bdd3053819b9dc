"use strict";
// Makes a fresh clone ready for `npm run demo` and `npm test`: installs missing programs (as root on Debian and Ubuntu), fetches a
// Node where the machine's is too old, installs what the lock file says, builds when a source is newer than the build. Needs no
// dependency itself; does nothing when all is current.
const { execFileSync } = require("child_process");
const fs = require("fs");
const path = require("path");
const table = require("./programs.cjs");
const runtime = require("./runtime.cjs");

const root = path.join(__dirname, "..");
const purpose = process.argv[2] || "build";
const isRoot = process.getuid() === 0;
/** Packages of other architectures bring no binaries: node_modules/better-sqlite3/prebuilds. */
const isPrebuilt = ["x64", "arm64"].includes(process.arch);

function stop(message) {
  process.stderr.write(`nearmiss: ${message}\n`);
  process.exit(1);
}

/** The Node of everything that follows; this script may run on an older one. */
function findRuntime() {
  try {
    return runtime.chooseRuntime(root);
  } catch (error) {
    const why = error.status === undefined ? error.message : "npm failed, the lines above say why";
    return stop(
      `Node ${process.versions.node} is not supported, and Node ${runtime.pinned} could not be fetched: ${why}. ` +
        "No package of npm was installed. Install Node 24 (22.12 or newer and 26 work too) and try again.",
    );
  }
}

function checkMachine() {
  if (process.platform !== "linux") stop("nearmiss runs on Linux only: the data path is the Linux kernel's.");
  // Without root `npm run dev` makes no lab, and says so itself.
  if (purpose === "dev" && !isRoot) return;
  const purposes = isPrebuilt ? [purpose] : [purpose, "compile"];
  const missing = table.missingFor(purposes);
  if (missing.length > 0) bringPrograms(missing, purposes);
  if (isRoot) return;
  if (["demo", "bench", "fault", "test:real"].includes(purpose)) {
    stop(`npm run ${purpose} makes network namespaces and needs root: run \`sudo npm run ${purpose}\`.`);
  }
  if (purpose === "test") {
    process.stderr.write(
      "nearmiss: not root, so the kernel tests will be skipped: run `sudo npm test` for all of them.\n",
    );
  }
}

/** Installs them where set-up may; otherwise says how. Ends where one stays away that the purpose cannot do without. */
function bringPrograms(missing, purposes) {
  const distribution = table.findDistribution(table.readOsRelease());
  const packages = [...new Set(missing.flatMap((program) => table.packagesOf(program, distribution)))];
  const without = whyNotInstall(distribution);
  let left = missing;
  if (!without && packages.length > 0) {
    process.stderr.write(`nearmiss: ${namesOf(missing)} not found: installing ${packages.join(" ")} with apt-get …\n`);
    table.aptInstall(packages);
    left = table.missingFor(purposes);
  }
  if (left.length === 0) return;
  const line = table.installLine(left, distribution, isRoot);
  const elsewhere = left.flatMap(({ variable }) => variable || []).join(", ");
  const cure = line
    ? `Install with:\n  ${line}\n`
    : `${distribution} has no package for it${elsewhere ? `: name one in ${elsewhere}` : "."}\n`;
  const what = `${namesOf(left)} not found. ${without || "apt-get did not bring it"}. ${cure}`;
  const needed = left.filter(({ skipped }) => !skipped || process.env.CI === "true");
  // What only the kernel tests need is not missed where those are skipped.
  if (needed.length > 0 && (isRoot || purpose !== "test")) stop(`${what}and try again.`);
  process.stderr.write(`nearmiss: ${what}The tests that need it will be skipped.\n`);
}

const namesOf = (programs) => programs.map(({ name }) => name).join(", ");

/** @returns why set-up installs no packages here, undefined where it does */
function whyNotInstall(distribution) {
  const { NEARMISS_NO_INSTALL: no = "" } = process.env;
  if (no !== "" && no !== "0") return "Nothing was installed, as --no-install or NEARMISS_NO_INSTALL asks";
  if (!isRoot) return "Nothing was installed, since that needs root";
  if (distribution !== "debian" && distribution !== "ubuntu") {
    return "Nothing was installed: set-up does that on Debian and Ubuntu only";
  }
  return undefined;
}

/** Newest modification under a path, in ms since 1970; 0 where there is nothing. */
function newest(file) {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (!stat) return 0;
  if (!stat.isDirectory()) return stat.mtimeMs;
  return fs.readdirSync(file).reduce((max, name) => Math.max(max, newest(path.join(file, name))), stat.mtimeMs);
}

function install({ node, npm, env }) {
  const wanted = fs.readFileSync(path.join(root, "package-lock.json"), "utf8");
  const stamp = path.join(root, "node_modules", ".nearmiss-installed");
  if (!fs.existsSync(stamp) || fs.readFileSync(stamp, "utf8") !== wanted) {
    process.stderr.write("nearmiss: installing dependencies (npm ci) …\n");
    runtime.runNpm(npm, ["ci"], { cwd: root, env });
    if (!isPrebuilt) {
      const cwd = path.join(root, "node_modules", "better-sqlite3");
      runtime.runNpm(npm, ["run", "build-release"], { cwd, env });
    }
    fs.writeFileSync(stamp, wanted);
  }
  runtime.linkForScripts(root, node);
}

function build({ node, env }) {
  const stamp = path.join(root, "dist", ".nearmiss-built");
  const sources = JSON.parse(fs.readFileSync(path.join(root, "tsconfig.build.json"), "utf8")).include;
  const inputs = [...sources, "dashboard", "package-lock.json", "tsconfig.json", "tsconfig.build.json", "scripts"];
  if (newest(stamp) > Math.max(...inputs.map((name) => newest(path.join(root, name))))) {
    runtime.placeForCommand(path.join(root, "dist"), node);
    return;
  }
  process.stderr.write("nearmiss: building …\n");
  execFileSync(node, [path.join(root, "scripts", "build.cjs")], { cwd: root, env, stdio: ["ignore", 2, 2] });
  fs.writeFileSync(stamp, "");
}

checkMachine();
const chosen = findRuntime();
try {
  install(chosen);
  build(chosen);
} catch {
  stop("setting up failed: the lines above say why.");
}
