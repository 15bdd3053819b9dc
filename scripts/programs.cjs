"use strict";
// The programs that nearmiss's own commands need beside Node and npm, and the packages that have them. Set-up, CI and the
// README's table read this one list.
const { spawnSync } = require("child_process");
const fs = require("fs");
const path = require("path");

const lab = ["demo", "dev", "bench", "fault", "test"];
const tests = ["test"];

/**
 * `for`: who needs it; `compile` is an architecture for which a package brings no binaries. `skipped`: tests that need it are
 * skipped where it is missing, except in CI. Without `ubuntu`, Ubuntu has Debian's package.
 */
const programs = [
  { name: "ip", for: lab, ...same("iproute2"), dnf: ["iproute"] },
  { name: "bridge", for: lab, ...same("iproute2"), dnf: ["iproute"] },
  { name: "ping", for: lab, ...same("iputils"), debian: ["iputils-ping"], apk: ["iputils-ping"] },
  { name: "tc", for: ["bench", "test"], ...same("iproute2"), dnf: ["iproute-tc"] },
  { name: "nft", for: tests, ...same("nftables") },
  { name: "strace", for: tests, ...same("strace") },
  { name: "bash", for: tests, ...same("bash") },
  { name: "curl", for: tests, skipped: true, ...same("curl") },
  { name: "jq", for: tests, skipped: true, ...same("jq") },
  { name: "zsh", for: tests, skipped: true, ...same("zsh") },
  { name: "fish", for: tests, skipped: true, ...same("fish") },
  { name: "iptables", for: tests, ...same("iptables"), dnf: ["iptables-nft"] },
  { name: "sysctl", for: tests, ...same("procps"), dnf: ["procps-ng"], pacman: ["procps-ng"] },
  // Alpine has another init.
  { name: "systemd-analyze", for: tests, skipped: true, ...same("systemd"), apk: [] },
  { name: "keepalived", for: tests, skipped: true, ...same("keepalived") },
  {
    name: "chromium",
    for: tests,
    skipped: true,
    // Where test/support/browser.ts looks.
    files: ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"],
    variable: "NEARMISS_CHROMIUM",
    debian: ["chromium", "fonts-dejavu-core"],
    // A snap, which does not run without snapd.
    ubuntu: [],
    dnf: ["chromium", "dejavu-sans-fonts"],
    zypper: ["chromium", "dejavu-fonts"],
    pacman: ["chromium", "ttf-dejavu"],
    apk: ["chromium", "font-dejavu"],
  },
  // Only Debian's were tried.
  { name: "libvirtd", for: ["test:real"], ...debianOnly("libvirt-daemon", "libvirt-daemon-driver-qemu") },
  { name: "virsh", for: ["test:real"], ...debianOnly("libvirt-clients") },
  { name: "qemu-system-x86_64", for: ["test:real"], ...debianOnly("qemu-system-x86") },
  { name: "systemd-nspawn", for: ["test:real"], ...debianOnly("systemd-container") },
  { name: "make", for: ["compile"], ...same("make") },
  { name: "g++", for: ["compile"], ...same("gcc-c++"), debian: ["g++"], pacman: ["gcc"], apk: ["g++"] },
  { name: "python3", for: ["compile"], ...same("python3"), pacman: ["python"] },
];

/** How each distribution installs. As root on the first two, set-up does it by itself. */
const distributions = {
  debian: "apt-get update && apt-get install -y --no-install-recommends",
  ubuntu: "apt-get update && apt-get install -y --no-install-recommends",
  dnf: "dnf install -y",
  zypper: "zypper --non-interactive install",
  pacman: "pacman -S --needed",
  apk: "apk add",
};

/** By ID and ID_LIKE of os-release(5). */
const byId = {
  ...{
    debian: "debian",
    ubuntu: "ubuntu",
    fedora: "dnf",
    rhel: "dnf",
    centos: "dnf",
    suse: "zypper",
    opensuse: "zypper",
  },
  ...{ sles: "zypper", arch: "pacman", archlinux: "pacman", alpine: "apk" },
};

function same(name) {
  return { debian: [name], dnf: [name], zypper: [name], pacman: [name], apk: [name] };
}

function debianOnly(...names) {
  return { debian: names, dnf: [], zypper: [], pacman: [], apk: [] };
}

/** @returns a key of `distributions`, or undefined where this is another one */
function findDistribution(osRelease) {
  const field = (name) => (new RegExp(`^${name}=["']?([^"'\\n]*)`, "m").exec(osRelease) || ["", ""])[1];
  const ids = [field("ID"), ...field("ID_LIKE").split(" ")];
  const known = ids.flatMap((id) => byId[id] || byId[id.split("-")[0]] || []);
  // Ubuntu's derivatives say "ubuntu debian".
  return known.includes("ubuntu") ? "ubuntu" : known[0];
}

function readOsRelease() {
  const file = ["/etc/os-release", "/usr/lib/os-release"].find((each) => fs.existsSync(each));
  return file ? fs.readFileSync(file, "utf8") : "";
}

function packagesOf(program, distribution) {
  return program[distribution] || program.debian;
}

/** The one command that installs these programs; several commands if the distribution is not known. */
function installLine(missing, distribution, isRoot) {
  const packages = (each) => [...new Set(missing.flatMap((program) => packagesOf(program, each)))].join(" ");
  const line = (each) => {
    const command = `${distributions[each]} ${packages(each)}`;
    return isRoot ? command : `sudo ${command.replace("&& ", "&& sudo ")}`;
  };
  if (distribution) return packages(distribution) ? line(distribution) : "";
  return Object.keys(distributions)
    .filter((each) => each !== "ubuntu" && packages(each))
    .map(line)
    .join("\n  ");
}

function isThere({ name, files, variable }) {
  if (files) return [process.env[variable || ""] || "", ...files].some((file) => file !== "" && fs.existsSync(file));
  // Debian keeps some where only root looks; other users do not need to run them.
  const more = process.getuid() === 0 ? [] : ["/usr/local/sbin", "/usr/sbin", "/sbin"];
  return [...(process.env.PATH || "").split(":"), ...more].some((directory) =>
    isExecutable(path.join(directory, name)),
  );
}

function isExecutable(file) {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

function missingFor(purposes) {
  return programs.filter((program) => program.for.some((each) => purposes.includes(each)) && !isThere(program));
}

/** Installs with apt-get, all its output on standard error. @returns whether it said that it did */
function aptInstall(packages) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", APT_LISTCHANGES_FRONTEND: "none" };
  const options = ["-qq", "-o", "DPkg::Lock::Timeout=120"];
  const run = (...args) => spawnSync("apt-get", [...options, ...args], { env, stdio: ["ignore", 2, 2] }).status === 0;
  // One broken source of many does not end the installation: only missing packages do.
  run("update");
  return run("install", "-y", "--no-install-recommends", ...packages);
}

/** The table of the README. */
function renderTable() {
  const code = (names) => (names.length > 0 ? names.map((name) => `\`${name}\``).join(" ") : "—");
  const rows = new Map();
  for (const program of programs) {
    const ubuntu = program.ubuntu ? `${code(program.debian)} (not Ubuntu)` : code(program.debian);
    const cells = [ubuntu, ...["dnf", "zypper", "pacman", "apk"].map((each) => code(program[each]))];
    const who = program.for.map((each) => (each === "compile" ? "other than x64 and arm64" : each)).join(", ");
    const key = [...cells, program.skipped ? `${who} (or skips)` : who].join(" | ");
    rows.set(key, [...(rows.get(key) || []), program.name]);
  }
  return [
    "| Program | Debian, Ubuntu | dnf | zypper | pacman | apk | For |",
    "|---|---|---|---|---|---|---|",
    ...[...rows].map(([key, names]) => `| ${code(names)} | ${key} |`),
  ].join("\n");
}

module.exports = {
  programs,
  findDistribution,
  readOsRelease,
  packagesOf,
  installLine,
  missingFor,
  aptInstall,
  renderTable,
};
