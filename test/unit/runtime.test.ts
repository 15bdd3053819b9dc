// The Node that runs nearmiss: which ones are supported, which one set-up chooses, and that its scripts can run on an
// older one.
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parse } from "acorn";
import { describe, expect, onTestFinished, test } from "vitest";
import { isSupportedNode } from "../../schema/supported-node.ts";

interface Runtime {
  readonly versions: Readonly<Record<string, string>>;
  readonly pinned: string;
  readonly integrity: Readonly<Record<string, string>>;
  isSupported(version: string): boolean;
}

const root = resolve(import.meta.dirname, "../..");
const script = join(root, "scripts", "runtime.cjs");
const runtime = createRequire(import.meta.url)(script) as Runtime;

test.each([
  ["18.20.8", false],
  ["20.20.2", false],
  ["22.11.0", false],
  ["22.12.0", true],
  ["23.11.1", false],
  ["24.0.0", true],
  ["25.9.0", false],
  ["26.0.0", true],
  ["28.1.0", true],
])("Node %s is supported: %s, by set-up and by the programs", (version, expected) => {
  expect([runtime.isSupported(version), isSupportedNode(version)]).toEqual([expected, expected]);
});

test("package.json states the same", () => {
  const { engines } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  expect(engines).toEqual({ node: "^22.12.0 || ^24.0.0 || >=26.0.0" });
});

test("the hash of each Node that may be fetched is known", () => {
  const names = Object.values(runtime.versions).flatMap((version) =>
    ["x64", "arm64"].map((arch) => `node-linux-${arch}@${version}`),
  );
  expect(
    Object.keys(runtime.integrity)
      .filter((name) => name.startsWith("node-"))
      .sort(),
  ).toEqual(names.sort());
  expect(Object.values(runtime.versions)).toContain(runtime.pinned);
  expect(Object.values(runtime.versions).filter((version) => !runtime.isSupported(version))).toEqual([]);
});

// ES2022 is what Node 18 reads: https://node.green
test.each(readdirSync(join(root, "scripts")).filter((name) => name.endsWith(".cjs")))(
  "scripts/%s parses on Node 18",
  (name) => {
    const text = readFileSync(join(root, "scripts", name), "utf8");
    expect(() => parse(text, { ecmaVersion: 2022, sourceType: "script" })).not.toThrow();
  },
);

describe("set-up chooses", () => {
  /** A clone and a machine whose Node has this version, where Node has been fetched before. */
  function makeMachine(machines: string) {
    const directory = mkdtempSync(join(tmpdir(), "nearmiss-runtime-"));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const at = (...path: string[]) => join(directory, ...path);
    const put = (path: string, text: string) => {
      mkdirSync(join(path, ".."), { recursive: true });
      writeFileSync(path, text);
      chmodSync(path, 0o755);
      return path;
    };
    const machinesNode = put(at("usr", "bin", "node"), `#!/bin/sh\necho ${machines}\n`);
    const packages = at("cache", "nearmiss", "nodes", runtime.pinned, "node", "node_modules");
    const fetched = put(join(packages, `node-linux-${process.arch}`, "bin", "node"), "");
    const npm = put(join(packages, "npm", "bin", "npm-cli.js"), "");
    mkdirSync(at("clone", "node_modules", ".bin"), { recursive: true });
    const link = at("clone", "node_modules", ".bin", "node");
    const env = {
      ...process.env,
      PATH: `${at("clone", "node_modules", ".bin")}:${at("usr", "bin")}`,
      XDG_CACHE_HOME: at("cache"),
    };
    const run = (node: string, expression: string): unknown => {
      const program = `const r = require(${JSON.stringify(script)}); const clone = ${JSON.stringify(at("clone"))};
        process.stdout.write(JSON.stringify(${expression}) ?? "null")`;
      return JSON.parse(execFileSync(node, ["-e", program], { env, encoding: "utf8" }));
    };
    return { machinesNode, fetched, npm, link, run };
  }
  const choose = "(({ node, npm }) => ({ node, npm }))(r.chooseRuntime(clone))";

  test("the Node that runs it, if that is supported", () => {
    const { run } = makeMachine("20.20.2");
    expect(run(process.execPath, choose)).toMatchObject({ node: process.execPath });
  });

  test("the fetched one again, with its npm, as long as the machine's is too old", () => {
    const { run, link, fetched, npm } = makeMachine("20.20.2");
    symlinkSync(process.execPath, link);
    expect(run(link, choose)).toEqual({ node: fetched, npm: [fetched, npm] });
  });

  test("the machine's once that is supported, and npm's scripts find that one again", () => {
    const { run, link, machinesNode } = makeMachine("24.9.0");
    symlinkSync(process.execPath, link);
    expect(run(link, choose)).toMatchObject({ node: machinesNode });
    run(link, `r.linkForScripts(clone, ${JSON.stringify(machinesNode)})`);
    expect(existsSync(link)).toBe(false);
  });

  test("and puts a fetched one first on the PATH of npm's scripts", () => {
    const { run, link, fetched } = makeMachine("20.20.2");
    run(process.execPath, `r.linkForScripts(clone, ${JSON.stringify(fetched)})`);
    expect(run(process.execPath, `require("fs").readlinkSync(${JSON.stringify(link)})`)).toBe(fetched);
  });
});
