// The hook script of docs/moves.md, called as libvirt calls it on both ends of a migration, against a controller with agents.
import { spawn } from "node:child_process";
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

/**
 * A machine of this name with the hook. @returns a function that runs it, with libvirt's arguments, and returns its
 * exit status
 */
function machine(name: string, controller: string, token: string) {
  const directory = mkdtempSync(join(tmpdir(), "nearmiss-test-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const file = (path: string, text: string) => {
    writeFileSync(join(directory, path), text, { mode: 0o755 });
    return join(directory, path);
  };
  file("hostname", `#!/bin/sh\necho ${name}\n`);
  const hook = file("qemu", scriptOfPage().replace(tokenFile, file("token", token)));
  // Over HTTP here: a CA is named all the same, and not read.
  const env = { PATH: `${directory}:${process.env.PATH}`, NEARMISS: controller, NEARMISS_CA: "/etc/ssl/certs" };
  return (...args: string[]): Promise<number | null> =>
    new Promise((resolve, reject) => {
      const child = spawn(hook, args, { env, stdio: ["pipe", "ignore", "ignore"] });
      child.once("error", reject).once("close", resolve);
      child.stdin.on("error", () => {}).end("<domain/>");
    });
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

test.skipIf(isSkipped)("a target that nearmiss does not know stops the migration", async () => {
  const { machine, web1 } = await cluster();
  expect(await machine("elsewhere")("web-1", "migrate", "begin", "-")).not.toBe(0);
  expect((await web1()).preparedHost).toBeUndefined();
  expect(await machine("c")("web-1", "migrate", "begin", "-")).toBe(0);
});
