// Promise P9: a 2xx answer to a write leaves after the transaction is on the disk. Of the running program, by its system calls: the
// settings of its connections are what test/contract/store.test.ts asks for, and this is what they are for.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, onTestFinished, test } from "vitest";
import { waitFor } from "../../testkit/lab/wait.ts";
import { ControllerProcess, interfaceOf, temporaryDirectory } from "../support/controller-process.ts";
import { describeKernel } from "../support/kernel.ts";

describeKernel("an answer to a write", () => {
  test("leaves when all that was written to the log of the database has been synced", async () => {
    const controller = await ControllerProcess.start(join(temporaryDirectory(), "nearmiss.db"));
    await controller.furnish();
    const calls = await traceCalls(controller.process.pid);
    for (let n = 0; n < 5; n++) {
      const first = calls.length;
      await controller.call("POST", "/v1/vms", { name: `vm-${n}`, host: "a", interfaces: [interfaceOf(n)] });
      const findAnswer = () => calls.findIndex((call, i) => i >= first && call.includes("HTTP/1.1 201"));
      await waitFor(() => findAnswer() >= 0, { what: "the answer in the trace" });
      const before = calls.slice(first, findAnswer());
      const written = before.findLastIndex((call) => /^pwrite64\(.*-wal>/.test(call));
      const begun = before.findLastIndex((call) => /^f(?:data)?sync\(.*-wal>/.test(call));
      const synced = before.findLastIndex((call) =>
        /^(?:f(?:data)?sync\(.*-wal>|<\.\.\. f(?:data)?sync resumed>).* = 0$/.test(call),
      );
      const context = before.join("\n");
      expect(written, context).toBeGreaterThanOrEqual(0);
      expect(begun, context).toBeGreaterThan(written);
      expect(synced, context).toBeGreaterThanOrEqual(begun);
    }
  });
});

/** @returns the writes and syncs of all threads of the process from now on, in order, without the thread */
async function traceCalls(pid: number | undefined): Promise<readonly string[]> {
  const traced = "trace=write,writev,pwrite64,fsync,fdatasync";
  const strace = spawn("strace", ["-f", "-y", "-s", "16", "-e", traced, "-p", String(pid)], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  onTestFinished(() => void strace.kill("SIGKILL"));
  const calls: string[] = [];
  await new Promise<void>((resolve, reject) => {
    strace.on("error", reject);
    const lines = createInterface({ input: strace.stderr });
    lines.on("line", (line) => {
      if (/attached/.test(line)) resolve();
      else calls.push(line.replace(/^\[pid +\d+\] /, ""));
    });
    lines.on("close", () => reject(new Error("strace could not attach")));
  });
  return calls;
}
