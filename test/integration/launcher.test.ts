// The installed command, dist/bin/nearmiss: through any link it is nearmiss on the Node chosen by set-up, without a
// process in between.
import { execFile, spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readlinkSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { builtFile } from "../../testkit/lab/programs.ts";
import { waitUntil } from "../../testkit/lab/wait.ts";
import { cleanEnvironment } from "../support/binary.ts";
import { temporaryDirectory } from "../support/controller-process.ts";

const launcher = builtFile("bin", "nearmiss");

function run(command: string, args: readonly string[], env = cleanEnvironment("/nonexistent"), cwd = "/") {
  return new Promise<{ status: unknown; stdout: string; stderr: string }>((resolve) => {
    const child = execFile(command, args, { env, cwd, timeout: 50_000 }, (error, stdout, stderr) =>
      resolve({ status: error ? error.code : 0, stdout, stderr }),
    );
    child.stdin?.end();
  });
}

/** As `ln -s` of the README leaves it, in a directory whose name needs quotes. */
function linked(): string {
  const directory = join(temporaryDirectory(), "of two words");
  mkdirSync(directory);
  symlinkSync(launcher, join(directory, "nearmiss"));
  return join(directory, "nearmiss");
}

describe("the installed command", () => {
  test("runs by its name on PATH, by a link and by its path", async () => {
    const version = { status: 0, stdout: "0.1.0\n", stderr: "" };
    const link = linked();
    const env = { ...cleanEnvironment("/nonexistent"), PATH: `${join(link, "..")}:${process.env.PATH}` };
    expect(await run("sh", ["-c", "nearmiss --version"], env)).toEqual(version);
    expect(await run("./nearmiss", ["--version"], env, join(link, ".."))).toEqual(version);
    expect(await run("sh", [launcher, "--version"])).toEqual(version);
    expect(await run("sh", ["nearmiss", "--version"], env, join(launcher, ".."))).toEqual(version);
  });

  test("passes on arguments and status", async () => {
    const { status, stderr } = await run(linked(), ["network", "no such thing; $HOME"]);
    expect([status, stderr]).toEqual([2, expect.stringContaining("no such thing; $HOME")]);
  });

  test("replaces itself with the program: one process, which receives signals directly", async () => {
    const db = join(temporaryDirectory(), "nearmiss.db");
    const child = spawn(linked(), ["controller", "--listen", "127.0.0.1:0", "--db", db, "--insecure"], {
      stdio: "pipe",
    });
    try {
      let log = "";
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        log += text;
      });
      child.stdout.resume();
      const ended = new Promise((resolve) => child.on("exit", (...how) => resolve(how)));
      await waitUntil(
        () => log,
        (text) => text.includes('"listening"'),
        { what: "the controller to listen" },
      );
      expect(readlinkSync(`/proc/${child.pid}/exe`)).toBe(realpathSync(builtFile("bin", "node")));
      child.kill("SIGTERM");
      expect(await ended).toEqual([0, null]);
    } finally {
      child.kill("SIGKILL");
    }
  });

  test("bounds V8's young generation, and its threads by the processors, at most four, for controllers and agents only", async () => {
    const copy = join(temporaryDirectory(), "bin");
    mkdirSync(copy);
    cpSync(launcher, join(copy, "nearmiss"));
    writeFileSync(join(copy, "nearmiss.js"), "console.log(process.execArgv.join(' '))");
    const path = join(copy, "..", "path");
    mkdirSync(path);
    symlinkSync(process.execPath, join(path, "node"));
    const flagsOf = async (command: string) =>
      (await run("/bin/sh", [join(copy, "nearmiss"), command], { PATH: path })).stdout;
    const withProcessors = async (count: string, command: string) => {
      writeFileSync(join(path, "nproc"), `#!/bin/sh\necho ${count}\n`, { mode: 0o755 });
      return flagsOf(command);
    };
    const young = "--max-semi-space-size=8";
    expect(await flagsOf("agent")).toBe(`${young} --v8-pool-size=4\n`);
    const controllers = "--no-allocation-site-pretenuring --v8-pool-size=1";
    expect(await withProcessors("1", "controller")).toBe(`${young} ${controllers}\n`);
    expect(await withProcessors("2", "agent")).toBe(`${young} --v8-pool-size=2\n`);
    expect(await withProcessors("64", "agent")).toBe(`${young} --v8-pool-size=4\n`);
    expect(await withProcessors("1", "status")).toBe(`${young}\n`);
  });

  test("uses the Node on PATH where none is installed with it, and reports if there is none", async () => {
    const copy = join(temporaryDirectory(), "bin");
    mkdirSync(copy);
    cpSync(launcher, join(copy, "nearmiss"));
    writeFileSync(join(copy, "nearmiss.js"), "console.log(process.execPath)");
    expect(existsSync(join(copy, "node"))).toBe(false);
    const path = join(copy, "..", "path");
    mkdirSync(path);
    symlinkSync(process.execPath, join(path, "node"));
    expect(await run("/bin/sh", [join(copy, "nearmiss")], { PATH: path })).toMatchObject({
      status: 0,
      stdout: `${realpathSync(process.execPath)}\n`,
    });
    rmSync(join(path, "node"));
    expect(await run("/bin/sh", [join(copy, "nearmiss")], { PATH: path })).toEqual({
      status: 127,
      stdout: "",
      stderr: expect.stringMatching(/^nearmiss: no Node .*npm run setup/),
    });
  });
});

describe("on an older Node", () => {
  // The build's own files, in a process that believes itself to be of that version. A real one: test/kernel/fresh-machine.test.ts.
  const pretend = `data:text/javascript,${encodeURIComponent(
    'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.20.2" } })',
  )}`;

  test.each([
    "bin/nearmiss.js",
    "testkit/demo/main.js",
    "testkit/bench/main.js",
    "testkit/fault/main.js",
    "testkit/soak/main.js",
  ])("dist/%s says what to do", async (file) => {
    const { status, stdout, stderr } = await run(process.execPath, [
      "--import",
      pretend,
      builtFile(...file.split("/")),
      "--help",
    ]);
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^nearmiss: Node 20\.20\.2 is not supported: .* Nothing was done\. Run `npm run setup`/);
  });
});
