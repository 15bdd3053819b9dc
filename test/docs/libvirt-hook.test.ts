// The hook script of docs/moves.md, called as libvirt calls it on both ends of a migration, against a controller with agents.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { follow } from "../integration/fleet.ts";
import { call, populate, startSecured } from "../integration/harness.ts";
import { agentOf, findCertified } from "../support/certified.ts";
import { missingCommands } from "./page-run.ts";

const tokenFile = "/etc/nearmiss/hook-token";

function scriptOfPage(): string {
  const page = readFileSync(join(import.meta.dirname, "../../docs/moves.md"), "utf8");
  const [, script] = /```sh\n(#!\/bin\/sh\n# \/etc\/libvirt\/hooks\/qemu\n[\s\S]*?)```/.exec(page) ?? [];
  if (!script?.includes(tokenFile)) throw new Error("docs/moves.md has no libvirt hook with a token file");
  return script;
}

/** Hosts a, b and c with their agents; web-1 is on a. The hook has an operator's token. */
async function cluster() {
  const controller = await startSecured({ findCertified });
  await populate(controller.admin);
  for (const host of ["a", "b", "c"] as const) follow(await agentOf(controller, host).connect());
  const { token } = await controller.issue({ role: "operator" });
  return {
    machine: (name: string) => machine(name, `http://${controller.base}`, token),
    web1: () => call(controller.admin, 200, "GET", "/v1/vms/web-1"),
    label: (labels: Record<string, string>) => call(controller.admin, 200, "PATCH", "/v1/vms/web-1", { labels }),
  };
}

interface HookRun {
  readonly status: number | null;
  /** What libvirt puts into its log, and shows where the hook refuses a migration. */
  readonly text: string;
  /** The arguments of curl, which all users of a machine can read. */
  readonly seen: string;
}

/**
 * A machine of this name with the hook. @returns functions that run it, with libvirt's arguments: `run` returns its
 * exit status, `runAll` also what it said
 */
function machine(name: string, controller: string, token: string) {
  const directory = mkdtempSync(join(tmpdir(), "nearmiss-test-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const file = (path: string, text: string) => {
    writeFileSync(join(directory, path), text, { mode: 0o755 });
    return join(directory, path);
  };
  file("hostname", `#!/bin/sh\necho ${name}\n`);
  const curl = spawnSync("sh", ["-c", "command -v curl"], { encoding: "utf8" }).stdout.trim();
  file("curl", `#!/bin/sh\necho "$@" >> ${directory}/seen\nexec ${curl} "$@"\n`);
  const hook = file("qemu", scriptOfPage().replace(tokenFile, file("token", token)));
  // Over HTTP here: a CA is named all the same, and not read.
  const env = { PATH: `${directory}:${process.env.PATH}`, NEARMISS: controller, NEARMISS_CA: "/etc/ssl/certs" };
  const runAll = (...args: string[]): Promise<HookRun> =>
    new Promise((resolve, reject) => {
      file("seen", "");
      const child = spawn(hook, args, { env, stdio: ["pipe", "ignore", "pipe"] });
      let text = "";
      child.stderr.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      const done = (status: number | null) =>
        resolve({ status, text, seen: readFileSync(join(directory, "seen"), "utf8") });
      child.once("error", reject).once("close", done);
      child.stdin.on("error", () => {}).end("<domain/>");
    });
  return Object.assign(async (...args: string[]) => (await runAll(...args)).status, { runAll });
}

const isSkipped = missingCommands().length > 0 && process.env.CI !== "true";

test.skipIf(isSkipped)("libvirt's calls on both ends prepare, commit and abort", async () => {
  const { machine, web1 } = await cluster();
  const [onA, onB] = [machine("a"), machine("b")];

  // A migration that succeeds: the target first, then the source as its guest ends.
  expect(await onB("web-1", "migrate", "begin", "-")).toBe(0);
  expect(await web1()).toMatchObject({ host: "a", preparedHost: "b" });
  expect(await onB("web-1", "prepare", "begin", "-")).toBe(0);
  expect(await onB("web-1", "started", "begin", "-")).toBe(0);
  expect(await web1()).toMatchObject({ host: "a", preparedHost: "b" });
  expect(await onA("web-1", "release", "end", "migrated")).toBe(0);
  expect(await web1()).toMatchObject({ host: "b" });
  expect((await web1()).preparedHost).toBeUndefined();

  // A failed one, back to a: the target's guest ends, and the source continues.
  expect(await onA("web-1", "migrate", "begin", "-")).toBe(0);
  expect(await web1()).toMatchObject({ host: "b", preparedHost: "a" });
  expect(await onA("web-1", "release", "end", "failed")).toBe(0);
  expect(await web1()).toMatchObject({ host: "b" });
  expect((await web1()).preparedHost).toBeUndefined();

  // A guest that is shut down moves nowhere.
  expect(await onB("web-1", "release", "end", "shutdown")).toBe(0);
  expect(await web1()).toMatchObject({ host: "b" });
});

test.skipIf(isSkipped)("so do those of libvirt before 10.5, which gives no reason", async () => {
  const { machine, web1, label } = await cluster();
  const [onA, onB] = [machine("a"), machine("b")];
  await label({ host: "b", preparedHost: "c" });

  expect(await onB("web-1", "migrate", "begin", "-")).toBe(0);
  expect(await onB("web-1", "started", "begin", "-")).toBe(0);
  expect(await web1()).toMatchObject({ host: "a", preparedHost: "b" });
  expect(await onA("web-1", "release", "end", "-")).toBe(0);
  expect(await web1()).toMatchObject({ host: "b" });
  expect((await web1()).preparedHost).toBeUndefined();

  // A failed one ends on the target.
  expect(await onA("web-1", "migrate", "begin", "-")).toBe(0);
  expect(await onA("web-1", "release", "end", "-")).toBe(0);
  expect(await web1()).toMatchObject({ host: "b" });
  expect((await web1()).preparedHost).toBeUndefined();

  // A guest that is shut down moves nowhere, nor does one that ends on a third host.
  expect(await onB("web-1", "release", "end", "-")).toBe(0);
  expect(await onA("web-1", "migrate", "begin", "-")).toBe(0);
  expect(await machine("c")("web-1", "release", "end", "-")).toBe(0);
  expect(await web1()).toMatchObject({ host: "b", preparedHost: "a" });
});

test.skipIf(isSkipped)(
  "a guest of the same name that ends on a third host changes nothing, whatever the reason",
  async () => {
    const { machine, web1 } = await cluster();
    expect(await machine("b")("web-1", "migrate", "begin", "-")).toBe(0);
    for (const reason of ["-", "failed", "shutdown", "destroyed", "crashed", "saved", "daemon", "start-failed"]) {
      expect(await machine("c")("web-1", "release", "end", reason)).toBe(0);
      expect(await web1(), reason).toMatchObject({ host: "a", preparedHost: "b" });
    }
    // On the source it is the end of the migration as well.
    expect(await machine("a")("web-1", "release", "end", "destroyed")).toBe(0);
    expect((await web1()).preparedHost).toBeUndefined();
  },
);

test.skipIf(isSkipped)("a move that the inventory has missed is followed by the next migration", async () => {
  const { machine, web1 } = await cluster();
  // It runs on c, and the inventory says a: the reason of libvirt from 10.5 on is certain.
  expect(await machine("b")("web-1", "migrate", "begin", "-")).toBe(0);
  expect(await machine("c")("web-1", "release", "end", "migrated")).toBe(0);
  expect(await web1()).toMatchObject({ host: "b" });
});

test.skipIf(isSkipped)("the hook says why it refuses a migration, and shows its token to no other user", async () => {
  const { machine } = await cluster();
  const { status, text, seen } = await machine("elsewhere").runAll("web-1", "migrate", "begin", "-");
  expect(status).not.toBe(0);
  expect(text).toMatch(/nearmiss: .*no host is named \\?"elsewhere/);
  expect(seen).toContain("/v1/vms/web-1/prepare");
  expect(seen).not.toMatch(/nm_/);
  const unknown = await machine("b").runAll("web-9", "migrate", "begin", "-");
  expect(unknown.status).not.toBe(0);
  expect(unknown.text).toMatch(/nearmiss: .*web-9/);
});

test.skipIf(isSkipped)("a target that nearmiss does not know stops the migration", async () => {
  const { machine, web1 } = await cluster();
  expect(await machine("elsewhere")("web-1", "migrate", "begin", "-")).not.toBe(0);
  expect((await web1()).preparedHost).toBeUndefined();
  expect(await machine("c")("web-1", "migrate", "begin", "-")).toBe(0);
});
