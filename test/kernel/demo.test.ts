// The demo as its users run it: the built program, its exit status, and what it leaves behind.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { whyNoLab } from "../../testkit/lab/lab.ts";
import { namespacesNamed } from "../../testkit/lab/namespace.ts";
import { waitFor } from "../../testkit/lab/wait.ts";

const program = fileURLToPath(new URL("../../dist/testkit/demo/main.js", import.meta.url));

function runDemo(...args: string[]) {
  const child = spawn(process.execPath, [program, ...args], { stdio: "pipe" });
  const output = { stdout: "", stderr: "" };
  child.stdout.on("data", (data) => {
    output.stdout += String(data);
  });
  child.stderr.on("data", (data) => {
    output.stderr += String(data);
  });
  const status = new Promise<number | null>((resolve) => child.on("close", (code) => resolve(code)));
  return { child, output, status };
}

/** Namespaces of the demo run with this story. */
function leftBehind(story: string): string[] {
  const prefix = /nm[0-9a-f]{6}/.exec(story)?.[0];
  if (prefix === undefined) throw new Error(`the story names no namespace:\n${story}`);
  return namespacesNamed(prefix);
}

describe.skipIf(whyNoLab() !== undefined)("the demo", () => {
  test("keeps all its promises, prints one JSON object, and leaves nothing behind", async () => {
    const { output, status } = runDemo("--json", "--full");
    expect(await status, output.stderr).toBe(0);
    const summary = JSON.parse(output.stdout);
    expect(summary).toMatchObject({ ok: true, unknown: 1 });
    expect(summary.misses.total).toBe(summary.answers.total + summary.unknown);
    expect(summary.packets.lost).toBe(summary.move.lost);
    expect(leftBehind(output.stderr)).toEqual([]);
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("leaves nothing behind on %s", async (signal, expected) => {
    const { child, output, status } = runDemo();
    await waitFor(() => /\$ ip netns exec nm/.test(output.stdout), { what: "the first entries" });
    child.kill(signal);
    expect(await status).toBe(expected);
    expect(leftBehind(output.stdout)).toEqual([]);
  });

  test("explains an invalid option", async () => {
    const { output, status } = runDemo("--bogus");
    expect(await status).toBe(2);
    expect(output.stderr).toContain("Unknown option '--bogus'");
  });
});
