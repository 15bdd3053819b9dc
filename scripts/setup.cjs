"use strict";
// Makes a fresh clone ready for `npm run demo` and `npm test`: checks the machine, installs what the lock file says,
// builds when a source is newer than the build. Needs no dependency itself; does nothing when all is current.
const { execFileSync, spawnSync } = require("child_process");
const fs = require("fs");
const path = require("path");
const runtime = require("./runtime.cjs");

const root = path.join(__dirname, "..");
const purpose = process.argv[2] || "build";

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
        "Nothing was installed. Install Node 24 (22.12 or newer and 26 work too) and try again.",
    );
  }
}

function checkMachine() {
  if (process.platform !== "linux") stop("nearmiss runs on Linux only: the data path is the Linux kernel's.");
  // Without root `npm run dev` makes no lab, and says so itself.
  if (purpose === "dev" && process.getuid() !== 0) return;
  const packageOf = { ip: "iproute2", bridge: "iproute2", ping: "iputils-ping" };
  if (purpose === "test") Object.assign(packageOf, { nft: "nftables", strace: "strace" });
  const missing = Object.keys(packageOf).filter((command) => spawnSync(command, ["-V"]).error);
  if (missing.length > 0) {
    const packages = [...new Set(missing.map((command) => packageOf[command]))].join(" ");
    stop(`${missing.join(", ")} not found: install with \`apt-get install ${packages}\` and try again.`);
  }
  const chromium = [
    process.env.NEARMISS_CHROMIUM || "",
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome",
  ];
  if (purpose === "test" && !chromium.some((file) => file !== "" && fs.existsSync(file))) {
    process.stderr.write(
      "nearmiss: no Chromium, so the browser tests will be skipped: `apt-get install chromium` for all of them.\n",
    );
  }
  if (process.getuid() === 0) return;
  if (["demo", "bench", "fault"].includes(purpose)) {
    stop(`npm run ${purpose} makes network namespaces and needs root: run \`sudo npm run ${purpose}\`.`);
  }
  process.stderr.write(
    "nearmiss: not root, so the kernel tests will be skipped: run `sudo npm test` for all of them.\n",
  );
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

if (purpose !== "build") checkMachine();
const chosen = findRuntime();
try {
  install(chosen);
  build(chosen);
} catch {
  stop("setting up failed: the lines above say why.");
}
