// A controller that is killed during an import: all of it is there afterwards, or nothing, and nothing is left on disk.
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { waitFor } from "../../testkit/lab/wait.ts";
import { ControllerProcess, interfaceOf, temporaryDirectory } from "../support/controller-process.ts";

/** On two hosts, of which each may have 4,096. */
const count = 8_000;
const lines = Array.from({ length: count }, (_, n) =>
  JSON.stringify({ kind: "vm", name: `vm-${n}`, host: ["a", "b"][n % 2], interfaces: [interfaceOf(n)] }),
).join("\n");

test.each([
  ["has come", 0],
  ["is being written", 400_000],
  ["is half written", 4_000_000],
  ["is nearly written", 8_000_000],
])("is all or nothing where the controller is killed when the import %s", { timeout: 120_000 }, async (_, walBytes) => {
  const directory = temporaryDirectory();
  const db = join(directory, "nearmiss.db");
  const controller = await ControllerProcess.start(db);
  await controller.furnish();
  const names = readdirSync(directory).sort();
  let status: number | undefined;
  const answer = controller.import(lines).then(
    (reply) => {
      status = reply.status;
    },
    () => {},
  );
  const written = () => statSync(`${db}-wal`).size;
  await (walBytes === 0
    ? waitFor(async () => (await controller.metric("nearmiss_controller_imports")) > 0, { what: "the import to come" })
    : waitFor(() => status !== undefined || written() > walBytes, { what: `a log of ${walBytes} bytes`, everyMs: 1 }));
  controller.process.signal("SIGKILL");
  await controller.process.ended;
  await answer;
  const again = await ControllerProcess.start(db);
  const vms = [...(await again.everything()).keys()].filter((name) => name.startsWith("vm/")).length;
  expect(status === undefined ? [0, count] : [count]).toContain(vms);
  expect(readdirSync(directory).sort()).toEqual(names);
  expect((await again.import(lines)).status).toBe(200);
});
