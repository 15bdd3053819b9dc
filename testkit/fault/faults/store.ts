// The controller returns with another history, from a restored backup. The agent gets the present answers for its keys,
// and no entry that is still right is deleted from the kernel in between.
import { randomUUID } from "node:crypto";
import { copyFile, rm } from "node:fs/promises";
import { join } from "node:path";
import Database from "better-sqlite3";
import type { Fault } from "../fault.ts";
import { ipsOf, tunnel } from "../scene.ts";
import { deletedOn } from "../watch.ts";

const held = 100;

/** @param renewed the backup was restored correctly, with a new epoch; false: its file was just copied back */
function restored(renewed: boolean): Fault["act"] {
  return async (scene) => {
    const numbers = scene.numbersFrom(held);
    const names = numbers.map((n) => `restored-${n}`);
    for (const [i, n] of numbers.entries()) await scene.registerPeer(names[i] ?? "", "b", [n]);
    await scene.ask(
      scene.guest(0),
      numbers.map((n) => ipsOf(n)[0]),
    );
    await scene.holds(
      "a",
      numbers.map((n) => ipsOf(n)[0]),
    );
    const db = join(scene.lab.directory, "controller.db");
    const backup = join(scene.lab.directory, `backup-${randomUUID()}.db`);
    await scene.lab.controller.stop("SIGTERM");
    await copyFile(db, backup);
    await scene.startController();
    await scene.allConnected();
    // Changes after the backup: every tenth VM has moved.
    const moved = names.filter((_, i) => i % 10 === 0);
    for (const name of moved) await scene.call("PATCH", `/v1/vms/${name}?wait=ready`, { host: "c" });
    await scene.lab.controller.stop("SIGTERM");
    const deleted = await deletedOn(scene.host("a"), tunnel, async () => {
      await replaceDatabase(db, backup, renewed);
      await scene.startController();
      await scene.allConnected();
      for (const name of moved) await scene.call("PATCH", `/v1/vms/${name}?wait=ready`, { host: "c" });
    });
    // Entries of FDBs cannot change all their flags in place; nothing here changes flags.
    if (deleted.length > 0) throw new Error(`${deleted.length} entries were deleted on the way, and all of them stay`);
    return [`${held} addresses cached, ${moved.length} moves undone and done again, no entry deleted`];
  };
}

/** @param renewed with a new epoch */
export async function replaceDatabase(db: string, backup: string, renewed: boolean): Promise<void> {
  for (const suffix of ["-wal", "-shm"]) await rm(`${db}${suffix}`, { force: true });
  await copyFile(backup, db);
  if (!renewed) return;
  const file = new Database(db);
  file.prepare("UPDATE meta SET value = ? WHERE name = 'epoch'").run(randomUUID());
  file.close();
}

const tidy: Fault["tidy"] = (scene) => scene.deleteVms("restored-");

export const restoredWithNewEpoch: Fault = {
  name: "a backup restored with another epoch: present answers, without flush and refill",
  act: restored(true),
  tidy,
};

export const restoredOlder: Fault = {
  name: "a backup put back that is older than what agents have seen: present answers, without flush and refill",
  act: restored(false),
  tidy,
};
