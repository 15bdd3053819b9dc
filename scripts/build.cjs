"use strict";
// Compiles to dist/ and copies what is not TypeScript. The old dist/ is replaced, so no removed file lives on.
const { execFileSync } = require("child_process");
const fs = require("fs");
const path = require("path");
const runtime = require("./runtime.cjs");

runtime.requireSupported();

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
// Each stamps its own part of dist/: vite the dashboard's, beside what tsc has put there.
execFileSync(process.execPath, [path.join(root, "node_modules", "vite", "bin", "vite.js"), "build", "dashboard"], {
  cwd: root,
  stdio: ["ignore", "ignore", 2],
});
require("./compress.cjs").compressDirectory(path.join(dist, "dashboard"));
fs.cpSync(path.join(root, "schema", "sqlite"), path.join(dist, "schema", "sqlite"), { recursive: true });
copySources(path.join("testkit", "bench", "native"));
fs.chmodSync(path.join(dist, "bin", "nearmiss.js"), 0o755);
fs.copyFileSync(path.join(root, "bin", "nearmiss.sh"), path.join(dist, "bin", "nearmiss"));
fs.chmodSync(path.join(dist, "bin", "nearmiss"), 0o755);
runtime.placeForCommand(dist, process.execPath);
makeFiles().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});

/** Of packages with many small files, which would take longer to find than to run. */
async function makeFiles() {
  await makeOneFile(path.join(dist, "schema", "typebox.js"));
  await makeOneFile(path.join(dist, "common", "commander.js"));
}

/** C, which benches compile on the spot. */
function copySources(folder) {
  const isSource = (name) => name.endsWith(".c");
  for (const name of fs.readdirSync(path.join(root, folder)).filter(isSource))
    fs.copyFileSync(path.join(root, folder, name), path.join(dist, folder, name));
}

/** Puts all that a module imports into its own file. */
async function makeOneFile(file) {
  const { build } = await import("vite");
  await build({
    root,
    configFile: false,
    logLevel: "warn",
    ssr: { noExternal: true },
    build: {
      ssr: file,
      outDir: path.dirname(file),
      emptyOutDir: false,
      copyPublicDir: false,
      minify: false,
      sourcemap: true,
      target: "node22",
      rolldownOptions: { output: { entryFileNames: path.basename(file) } },
    },
  });
}
