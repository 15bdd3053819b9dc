// The memory that the soak reads from the programs that it watches: live objects, without garbage that V8 has not yet
// collected.
import { spawn } from "node:child_process";
import { expect, onTestFinished, test } from "vitest";
import { LabProcess } from "../../testkit/lab/process.ts";
import { builtFile } from "../../testkit/lab/programs.ts";
import { usageOf } from "../../testkit/soak/usage.ts";

const mebibyte = 1_048_576;

/** A program whose `rounds` rounds make a mebibyte of objects each and keep them, or drop them. */
async function run(does: "hold" | "drop"): Promise<LabProcess> {
  const script = `
    const kept = [];
    for (let round = 0; round < 40; round++) {
      const made = Array.from({ length: ${mebibyte / 8} }, (_, i) => i + 0.5);
      if (${does === "hold"}) kept.push(made);
    }
    process.stderr.write('{"msg":"ready"}\\n');
    setInterval(() => kept, 60_000);`;
  const here = { spawn: ([file, ...args]: readonly [string, ...string[]]) => spawn(file, args, { stdio: "pipe" }) };
  const program = new LabProcess(does, here, [
    process.execPath,
    "--import",
    builtFile("testkit", "soak", "live-memory.js"),
    "--eval",
    script,
  ]);
  onTestFinished(async () => void (await program.stop("SIGKILL")));
  await program.waitForLog(({ msg }) => msg === "ready");
  return program;
}

test("dropped objects do not count, referenced ones do", async () => {
  const [dropped, kept] = [await usageOf(await run("drop")), await usageOf(await run("hold"))];
  expect(dropped.live).toBeLessThan(20);
  expect(kept.live - dropped.live).toBeGreaterThan(39);
  expect(kept.live - dropped.live).toBeLessThan(60);
});
