// A controller that is killed during an import: all of it is there afterwards, or nothing, and nothing is left on disk. What was acknowledged
// while the import was moved to its tables is there too.
import { copyFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { backUp } from "../../controller/backup/backup.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { ControllerProcess, interfaceOf, runCommand, temporaryDirectory } from "../support/controller-process.ts";

/** On two hosts, of which each may have 4,096. */
const count = 8_000;
const lines = Array.from({ length: count }, (_, n) =>
  JSON.stringify({ kind: "vm", name: `vm-${n}`, host: ["a", "b"][n % 2], interfaces: [interfaceOf(n)] }),
).join("\n");

/** How far the import is, by another connection. */
function progressOf(path: string) {
  const db = new Database(path, { readonly: true });
  onTestFinished(() => void db.close());
  const staged = db.prepare("SELECT coalesce(max(idx) + 1, 0) FROM staged").pluck();
  const moved = db.prepare("SELECT moved FROM stages WHERE revision IS NOT NULL").pluck();
  return { staged: () => staged.get() as number, moved: () => moved.get() as number | undefined };
}

/** Each row of a VM takes about a millisecond more: a move is not over before the test has looked at it. @returns what undoes that */
function slowMove(path: string): (copy?: string) => void {
  const change = (at: string, sql: string) => {
    const db = new Database(at, { timeout: 30_000 });
    db.exec(sql);
    db.close();
  };
  change(path, "CREATE TRIGGER slow AFTER INSERT ON vms BEGIN SELECT length(hex(randomblob(300000))); END");
  return (copy = path) => change(copy, "DROP TRIGGER slow");
}

test.each([
  ["has come", () => true],
  ["is being staged", ({ staged }: ReturnType<typeof progressOf>) => staged() > 0],
  ["is half staged", ({ staged }: ReturnType<typeof progressOf>) => staged() >= count / 2],
  ["is staged", ({ staged }: ReturnType<typeof progressOf>) => staged() === count],
  ["is being moved", ({ moved }: ReturnType<typeof progressOf>) => (moved() ?? 0) > 0],
  ["is half moved", ({ moved }: ReturnType<typeof progressOf>) => (moved() ?? 0) >= count / 2],
])(
  "is all or nothing where the controller is killed when the import %s",
  { timeout: 120_000 },
  async (_, isReached) => {
    const directory = temporaryDirectory();
    const db = join(directory, "nearmiss.db");
    const controller = await ControllerProcess.start(db);
    await controller.furnish();
    const names = readdirSync(directory).sort();
    const progress = progressOf(db);
    let status: number | undefined;
    const answer = controller.import(lines).then(
      (reply) => {
        status = reply.status;
      },
      () => {},
    );
    const isOver = () => status !== undefined && progress.moved() === undefined;
    await waitFor(async () => (await controller.metric("nearmiss_controller_imports")) > 0, {
      what: "the import to come",
    });
    await waitFor(() => isOver() || isReached(progress), { what: "the moment to kill", everyMs: 1 });
    controller.process.signal("SIGKILL");
    await controller.process.ended;
    await answer;
    const again = await ControllerProcess.start(db);
    const vms = [...(await again.everything()).keys()].filter((name) => name.startsWith("vm/")).length;
    expect(status === undefined ? [0, count] : [count]).toContain(vms);
    expect(readdirSync(directory).sort()).toEqual(names);
    expect((await again.import(lines)).status).toBe(200);
  },
);

test("keeps what is acknowledged while an import is moved, in the order of the log", { timeout: 120_000 }, async () => {
  const db = join(temporaryDirectory(), "nearmiss.db");
  const controller = await ControllerProcess.start(db);
  await controller.furnish();
  const progress = progressOf(db);
  const hurry = slowMove(db);
  expect((await controller.import(lines)).status).toBe(200);
  await controller.call("DELETE", `/v1/vms/vm-${count - 1}`);
  await controller.call("PATCH", `/v1/vms/vm-${count - 2}`, { labels: { moved: "yes" } });
  await controller.call("POST", "/v1/vms", { name: "after", host: "a", interfaces: [interfaceOf(count - 1)] });
  expect(progress.moved()).toBeLessThan(count);
  controller.process.signal("SIGKILL");
  await controller.process.ended;
  hurry();
  const again = await ControllerProcess.start(db);
  const all = await again.everything();
  expect([...all.keys()].filter((name) => name.startsWith("vm/"))).toHaveLength(count);
  expect(all.has(`vm/vm-${count - 1}`)).toBe(false);
  expect(await again.call("GET", `/v1/vms/vm-${count - 2}`)).toMatchObject({ labels: { moved: "yes" } });
  expect(await again.call("GET", "/v1/vms/after")).toMatchObject({ host: "a" });
  expect(progressOf(db).moved()).toBeUndefined();
});

test("a backup that begins while an import is moved has all of it, and what came after it", {
  timeout: 120_000,
}, async () => {
  const directory = temporaryDirectory();
  const [db, backup, other] = ["nearmiss.db", "backup.db", "other.db"].map((name) => join(directory, name)) as [
    ...[string, string, string],
  ];
  const controller = await ControllerProcess.start(db);
  await controller.furnish();
  const progress = progressOf(db);
  const hurry = slowMove(db);
  expect((await controller.import(lines)).status).toBe(200);
  await controller.call("DELETE", "/v1/vms/vm-7");
  const taken = backUp({ db, to: backup, rate: 1_000, onProgress: () => {}, ca: null, protection: { recipients: [] } });
  // It reads what there was at this moment.
  expect(progress.moved()).toBeLessThan(count);
  const expected = await controller.everything();
  const { revision } = await taken;
  const restored = await runCommand("restore", backup, "--db", other, "--json");
  expect(JSON.parse(restored.output)).toMatchObject({ revision });
  hurry(other);
  copyFileSync(`${db}.admin-token`, `${other}.admin-token`);
  const second = await ControllerProcess.start(other);
  expect(await second.everything()).toEqual(expected);
  expect(progressOf(other).moved()).toBeUndefined();
});
