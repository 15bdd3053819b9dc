// Completion as a shell does it: the printed script is loaded by a real bash, and its function is asked.
import { execFile } from "node:child_process";
import { existsSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { binary, operatedForFile, runNearmiss } from "../support/binary.ts";

const operated = operatedForFile(async (controller) => {
  await controller.ok("host", "create", "alpha", "--vtep", "192.0.2.1");
  await controller.ok("host", "create", "beta", "--vtep", "192.0.2.2");
  await controller.ok("vm", "create", "web-1", "--host", "alpha");
  await controller.ok("vm", "create", "web-2", "--host", "alpha");
  await controller.ok("vm", "create", "db-1", "--host", "alpha");
  symlinkSync(binary, join(controller.directory, "nearmiss"));
});

/** What bash would offer at the end of this line. */
async function offered(...words: string[]): Promise<string[]> {
  const script = `
    source <(nearmiss completion bash)
    COMP_LINE=$1 COMP_POINT=\${#1}
    [[ $(complete -p nearmiss) == "complete -F _nearmiss nearmiss" ]] && _nearmiss
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { directory, env } = operated();
  const path = { ...env, PATH: `${directory}:${process.env.PATH}` };
  const args = ["--norc", "-c", script, "bash", ["nearmiss", ...words].join(" ")];
  const stdout = await new Promise<string>((resolve, reject) => {
    execFile("bash", args, { env: path, timeout: 50_000 }, (error, out, err) =>
      error ? reject(new Error(`${error.message}\n${err}`)) : resolve(out),
    );
  });
  return stdout
    .split("\n")
    .map((word) => word.trim())
    .filter(Boolean);
}

test.each<[string, string[], string[]]>([
  ["commands", ["v"], ["vm", "version"]],
  ["sub-commands", ["vm", "cr"], ["create"]],
  ["flags", ["vm", "list", "--wat"], ["--watch"]],
  ["the choices of a flag", ["vm", "list", "--output", "j"], ["json"]],
  ["the short form of -o json", ["explain", "--js"], ["--json"]],
  ["names, asked of the controller", ["vm", "get", "web"], ["web-1", "web-2"]],
  ["names behind a flag", ["vm", "create", "x", "--host", "be"], ["beta"]],
  ["nothing for a name that is yet to be found", ["vm", "create", "we"], []],
])("bash offers %s", async (_name, words, expected) => {
  expect(await offered(...words)).toEqual(expected);
});

test("typed text is not executed", async () => {
  const trace = join(operated().directory, "trace");
  expect(await offered("vm", "get", `$(touch ${trace})`, "")).toEqual([]);
  expect(existsSync(trace)).toBe(false);
});

test("nothing is printed if the controller does not answer", async () => {
  const env = { ...operated().env, NEARMISS_CONTROLLER: "http://127.0.0.1:1" };
  const finished = await runNearmiss(["complete", "--", "vm", "get", "w"], { env });
  expect(finished).toEqual({ status: 0, stdout: ":4\n", stderr: "" });
});

test.each(["zsh", "fish"])("a script for %s is printed, which calls the same command", async (shell) => {
  const { status, stdout } = await runNearmiss(["completion", shell]);
  expect(status).toBe(0);
  expect(stdout).toMatch(/nearmiss complete --/);
});

test("an unsupported shell is refused with the supported ones", async () => {
  const { status, stderr } = await runNearmiss(["completion", "tcsh"]);
  expect(status).toBe(2);
  expect(stderr).toMatch(/bash, zsh, fish/);
});
