"use strict";
// Completes package-lock.json after `npm install` against a registry that does not carry every platform's packages: npm
// then leaves them out of the lock file, and `npm ci` refuses it everywhere. Run it after a change of dependencies.
const fs = require("fs");
const path = require("path");

const file = path.join(__dirname, "..", "package-lock.json");
const lock = JSON.parse(fs.readFileSync(file, "utf8"));
const platform = /-(android|darwin|freebsd|linux|openharmony|win32)-(arm64|arm|x64|ia32|ppc64|riscv64|s390x)?/;
let added = 0;

for (const parent of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(parent.optionalDependencies || {})) {
    const [, os, cpu] = platform.exec(name) || [];
    const at = `node_modules/${name}`;
    if (lock.packages[at] || !os || !/^\d/.test(version)) continue;
    const libc = os === "linux" ? { libc: [name.includes("musl") ? "musl" : "glibc"] } : {};
    const dev = parent.dev ? { dev: true } : {};
    lock.packages[at] = { version, ...dev, optional: true, os: [os], ...(cpu ? { cpu: [cpu] } : {}), ...libc };
    added++;
  }
}

const sorted = Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1));
fs.writeFileSync(file, `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, null, 2)}\n`);
process.stdout.write(`added ${added} packages of other platforms\n`);
