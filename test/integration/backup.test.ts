// `nearmiss backup` and `nearmiss restore`, as commands beside a controller in use.
import {
  chmodSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { ControllerProcess, interfaceOf, runCommand, temporaryDirectory } from "../support/controller-process.ts";

async function stand() {
  const directory = temporaryDirectory();
  const db = join(directory, "nearmiss.db");
  const controller = await ControllerProcess.start(db);
  await controller.furnish();
  const add = (n: number) =>
    controller.call("POST", "/v1/vms", { name: `vm-${n}`, host: "a", interfaces: [interfaceOf(n)] });
  return { directory, db, controller, add, backup: join(directory, "backup.db"), other: join(directory, "other.db") };
}

test("a backup under load is of one revision, and restores to exactly that with a new epoch", async () => {
  const { db, controller, add, backup, other, directory } = await stand();
  for (let n = 1; n <= 40; n++) await add(n);
  let written = 40;
  let stop = false;
  const load = (async () => {
    while (!stop) await add(++written);
  })();
  const taken = await runCommand("backup", backup, "--db", db, "--json", "--rate", "1");
  stop = true;
  await load;
  expect(taken.status, taken.output).toBe(0);
  const { revision, epoch } = JSON.parse(taken.output) as { revision: number; epoch: string };
  // Revisions 1 to 3 made network and hosts; each VM is one.
  const expected = await controller.everything();
  expect(expected.size).toBe(3 + written);
  expect(statSync(backup).mode & 0o777).toBe(0o600);

  const restored = await runCommand("restore", backup, "--db", other, "--json");
  expect(restored.status, restored.output).toBe(0);
  const result = JSON.parse(restored.output) as { revision: number; epoch: string; formerEpoch: string };
  expect(result).toMatchObject({ revision, formerEpoch: epoch });
  expect(result.epoch).not.toBe(epoch);
  // The tokens are part of the backup, the file with the first one is not.
  copyFileSync(`${db}.admin-token`, `${other}.admin-token`);
  const second = await ControllerProcess.start(other);
  const stored = await second.everything();
  expect(stored.size).toBe(revision);
  for (const [name, resource] of stored) expect(resource).toEqual(expected.get(name));
  const audit = await second.call<{ entries: { what: string[] }[] }>("GET", "/v1/audit");
  expect(audit.entries.at(-1)?.what).toEqual([`restored from backup.db at revision ${revision}`]);
  expect(readdirSync(directory).filter((name) => /partial|restoring/.test(name))).toEqual([]);
});

test("nothing is overwritten, and a refusal leaves nothing", async () => {
  const { db, backup, other, controller, directory } = await stand();
  const refused = async (args: string[], reason: RegExp) => {
    const before = readdirSync(directory).filter((name) => !name.endsWith(".lock"));
    const { status, output } = await runCommand(...args);
    expect([status, output]).toEqual([1, expect.stringMatching(reason)]);
    expect(readdirSync(directory).filter((name) => !name.endsWith(".lock"))).toEqual(before);
  };
  await refused(["backup", backup, "--db", other], /other\.db does not exist/);
  await refused(["backup", db, "--db", db], /exists and is not overwritten/);
  expect((await runCommand("backup", backup, "--db", db)).status).toBe(0);
  await refused(["backup", backup, "--db", db], /exists and is not overwritten/);
  await refused(["restore", backup, "--db", db], /exists and is not overwritten/);
  const bytes = readFileSync(backup);
  const sum = readFileSync(`${backup}.sha256`);

  bytes.fill(0xa5, 8_192, 12_288);
  writeFileSync(backup, bytes);
  await refused(["restore", backup, "--db", other], /does not match its checksum/);
  await refused(["restore", backup, "--db", other, "--no-checksum"], /is damaged/);
  writeFileSync(backup, "not a database at all, but long enough to be looked at".repeat(100));
  await refused(["restore", backup, "--db", other, "--no-checksum"], /is damaged|is not a SQLite database/);
  writeFileSync(`${backup}.sha256`, "what?\n");
  await refused(["restore", backup, "--db", other], /is not a checksum/);

  const foreign = join(directory, "foreign.db");
  const database = new Database(foreign);
  database.exec("CREATE TABLE mine (x)");
  database.close();
  await refused(["restore", foreign, "--db", other, "--no-checksum"], /is not a backup of nearmiss/);
  await refused(["restore", foreign, "--db", other], /foreign\.db\.sha256 does not exist/);
  await refused(["backup", backup, "--db", foreign], /exists/);
  await refused(["backup", join(directory, "x.db"), "--db", foreign], /is not a database of nearmiss/);
  expect(sum.toString()).toMatch(/^[0-9a-f]{64} {2}backup\.db\n$/);
  await controller.call("GET", "/readyz");
});

test("a backup of a newer schema is refused", async () => {
  const { backup, other, db } = await stand();
  expect((await runCommand("backup", backup, "--db", db)).status).toBe(0);
  const newer = new Database(backup);
  newer.pragma("user_version = 9999");
  newer.close();
  const refused = await runCommand("restore", backup, "--db", other, "--no-checksum");
  expect([refused.status, refused.output]).toEqual([1, expect.stringMatching(/written by a newer nearmiss/)]);
  expect(existsSync(other)).toBe(false);
});

test("a path that is no database of nearmiss is refused without advice about its modes, and stays as it is", async () => {
  const directory = temporaryDirectory();
  const at = (name: string): string => join(directory, name);
  chmodSync(directory, 0o755);
  writeFileSync(at("hosts"), "127.0.0.1 localhost\n", { mode: 0o644 });
  const foreign = new Database(at("places.db"));
  foreign.exec("CREATE TABLE meta (x); CREATE TABLE places (x)");
  foreign.close();
  chmodSync(at("places.db"), 0o644);
  symlinkSync(directory, at("to-directory"));
  const before = readdirSync(directory);
  for (const [path, why] of [
    [directory, "is a directory: name the file of the database with --db"],
    [at("to-directory"), "is a directory: name"],
    ["/dev/null", "is not a regular file: name"],
    [at("hosts"), "is not a database of nearmiss: name another file with --db"],
    [at("places.db"), "is not a database of nearmiss: name another file with --db"],
  ] as const) {
    const refused = ControllerProcess.launch(path);
    expect(await refused.ended).toBe(1);
    const said = refused.logs.map(({ msg }) => msg).join("\n");
    expect(said).toContain(`${path} ${why}`);
    expect(said).not.toContain("chmod");
    for (const command of [
      ["backup", at("backup.db")],
      ["token", "list"],
    ]) {
      const { status, output } = await runCommand(...command, "--db", path);
      expect([status, output]).toEqual([1, expect.stringContaining(`${path} ${why}`)]);
    }
  }
  const noBackup = await runCommand("restore", directory, "--db", at("new.db"), "--no-checksum");
  expect([noBackup.status, noBackup.output]).toEqual([1, expect.stringContaining("is a directory: name a file that")]);
  expect(readdirSync(directory)).toEqual(before);
});

test("files that others may read are refused, with the command that fixes them", async () => {
  const { db, controller } = await stand();
  expect(await controller.process.stop()).toBe(0);
  for (const file of [db, `${db}.admin-token`]) {
    chmodSync(file, 0o640);
    const refused = ControllerProcess.launch(db);
    expect(await refused.ended).toBe(1);
    expect(refused.logs.map(({ msg }) => msg).join("\n")).toContain(`run \`chmod go= '${file}'\``);
    chmodSync(file, 0o600);
  }
  await ControllerProcess.start(db);
});
