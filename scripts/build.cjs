"use strict";
// Compiles to dist/ and copies what is not TypeScript. The old dist/ is replaced, so no removed file lives on.
const { execFileSync } = require("child_process");
const fs = require("fs");
const path = require("path");

const root = path.join(__dirname, "..");
const dist = path.join(root, "dist");

fs.rmSync(dist, { recursive: true, force: true });
execFileSync(
  process.execPath,
  [path.join(root, "node_modules", "typescript", "bin", "tsc"), "-p", "tsconfig.build.json"],
  {
    cwd: root,
    stdio: ["ignore", 2, 2],
  },
);
fs.cpSync(path.join(root, "schema", "sqlite"), path.join(dist, "schema", "sqlite"), { recursive: true });
fs.chmodSync(path.join(dist, "bin", "nearmiss.js"), 0o755);
