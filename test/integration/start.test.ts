// What a command loads before it does anything: files, since their number decides about the time, and times differ.
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { repositoryRoot } from "../../testkit/lab/programs.ts";
import { binary, cleanEnvironment } from "../support/binary.ts";
import { temporaryDirectory } from "../support/controller-process.ts";

const report = `import { registerHooks } from "node:module";
registerHooks({
  load(url, context, next) {
    if (!url.startsWith("node:")) process.stderr.write("loaded " + url + "\\n");
    return next(url, context);
  },
});
process.on("exit", () => {
  for (const name of ["undici/index", "http", "https", "tls"])
    if (process.moduleLoadList.some((each) => each.endsWith(" " + name) || each.endsWith("/deps/" + name)))
      process.stderr.write("loaded node:" + name + "\\n");
});
`;

/** Files of ours by their path below dist/, packages by their name, and modules of Node that take long to load. */
async function loadedBy(line: string): Promise<string[]> {
  const hook = join(temporaryDirectory(), "report.mjs");
  writeFileSync(hook, report);
  const env = { ...cleanEnvironment("/nonexistent"), NODE_OPTIONS: `--import ${hook}` };
  const stderr = await new Promise<string>((resolve) => {
    execFile(binary, line.split(" "), { env, timeout: 50_000 }, (_error, _stdout, text) => resolve(text));
  });
  const loaded = [...stderr.matchAll(/^loaded (.*)$/gm)].map(([, url = ""]) =>
    url
      .replace(/^file:\/\//, "")
      .replace(/^.*\/node_modules\/((@[^/]+\/)?[^/]+).*$/, "package $1")
      .replace(`${join(repositoryRoot(), "dist")}/`, ""),
  );
  return [...new Set(loaded)].filter((each) => each !== hook);
}

const start = ["bin/nearmiss.js", "schema/supported-node.js", "schema/version.js"];

test.each([
  ["--version", start],
  ["-V", start],
  ["vmm", [...start, "bin/main.js", "cli/words.js", "bin/commands.js"]],
  ["--help", [...start, "bin/main.js", "cli/words.js", "bin/commands.js", "bin/help.js"]],
  ["help", [...start, "bin/main.js", "cli/words.js", "bin/commands.js", "bin/help.js"]],
])("nearmiss %s loads these files and no package", async (line, expected) => {
  expect(await loadedBy(line)).toEqual(expected);
});

test.each([
  "vm list --help",
  "vm --help",
  "vm list --nosuch",
  "network create x --vni nonsense",
  "complete -- v",
  "complete -- vm l",
])("nearmiss %s loads no client, no settings and no other command", async (line) => {
  const loaded = await loadedBy(line);
  expect(loaded).toContain("common/commander.js");
  for (const part of ["cli/client.js", "cli/http.js", "schema/typebox.js", "cli/event-stream.js", "cli/progress.js"])
    expect(loaded).not.toContain(part);
  expect(loaded.filter((each) => each.startsWith("controller/") || each.startsWith("node-agent/"))).toEqual([]);
  const packages = loaded.filter((each) => each.startsWith("package ") || each.startsWith("node:"));
  expect(packages.filter((each) => !["package picocolors", "package @bomb.sh/tab"].includes(each))).toEqual([]);
});

test.each(["vm list", "host get a", "network list -o json", "resolve --vni 7 10.0.0.1", "audit"])(
  "nearmiss %s loads an HTTP client, and no parser of settings, YAML or shapes",
  async (line) => {
    const loaded = await loadedBy(`${line} --controller http://127.0.0.1:1`);
    expect(loaded).toContain("cli/client.js");
    expect(loaded).not.toContain("node:undici/index");
    expect(loaded).not.toContain("schema/typebox.js");
    expect(loaded.filter((each) => each.startsWith("package "))).toEqual(["package picocolors"]);
  },
);
