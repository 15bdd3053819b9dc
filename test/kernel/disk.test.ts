// Promise P9: disk faults of the controller, on a real disk. Clear errors, and nothing lost.
import { execFileSync, spawn } from "node:child_process";
import {
  closeSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { CommittedInventory } from "../../controller/inventory/committed-inventory.ts";
import type { Mutation } from "../../controller/inventory/decide.ts";
import { openSqliteStore } from "../../controller/store/sqlite/sqlite-store.ts";
import { type AuthoredCommit, type Store, StoreFullError } from "../../controller/store/store.ts";
import { parseRevision } from "../../schema/address/index.ts";
import { parseVm } from "../../schema/rest/index.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { commitsOf, hostPut, networkPut, stagedCommitOf, vmPut } from "../contract/store.ts";
import { ControllerProcess, interfaceOf, temporaryDirectory } from "../support/controller-process.ts";
import { describeKernel } from "../support/kernel.ts";
import { loadAll } from "../support/stored.ts";

const vm = (n: number) => ({ name: `vm-${n}`, host: "a", interfaces: [interfaceOf(n)] });

describeKernel("the disk", () => {
  test("is full: 507, reads and streams go on, and writes again as soon as there is space", async () => {
    const directory = smallDisk();
    const controller = await ControllerProcess.start(join(directory, "nearmiss.db"));
    await controller.furnish();
    const events = controller.events();
    const filler = join(directory, "filler");
    fill(filler);
    let refused: { status: number; body: unknown } | undefined;
    let made = 0;
    for (; refused === undefined; made++) {
      const reply = await controller.request("POST", "/v1/vms", vm(made));
      if (reply.status >= 300) refused = reply;
    }
    expect(refused).toMatchObject({ status: 507, body: { type: "urn:nearmiss:problem:storage-full" } });
    made--;
    for (let n = 0; n < made; n++) await controller.call("GET", `/v1/vms/vm-${n}`);
    expect((await controller.request("GET", `/v1/vms/vm-${made}`)).status).toBe(404);
    expect((await controller.request("POST", "/v1/vms", vm(made))).status).toBe(507);
    rmSync(filler);
    await controller.call("POST", "/v1/vms", vm(made));
    // Of each acknowledged write, and of no other.
    for (let n = 0; n <= made; n++) expect(await events.next()).toMatchObject({ subject: `vms/vm-${n}` });
    controller.process.signal("SIGKILL");
    await controller.process.ended;
    const again = await ControllerProcess.start(join(directory, "nearmiss.db"));
    const stored = [...(await again.everything()).keys()].filter((name) => name.startsWith("vm/"));
    expect(stored).toHaveLength(made + 1);
  });

  test.each([
    ["its body is received", 1_000_000],
    ["it is decided", 4_000_000],
    ["it is written", 14_000_000],
  ])(
    "is full when an import comes and %s: 507, nothing is left, and the same import succeeds with space",
    async (_, left) => {
      const directory = smallDisk("96m");
      const controller = await ControllerProcess.start(join(directory, "nearmiss.db"));
      await controller.furnish();
      const hosts = ["h0", "h1", "h2", "h3", "h4"];
      for (const [n, host] of hosts.entries())
        await controller.call("PUT", `/v1/hosts/${host}`, { vtep: `192.0.2.${n + 3}` });
      const lineOf = (n: number) => JSON.stringify({ kind: "vm", ...vm(n), host: hosts[n % hosts.length] });
      const lines = Array.from({ length: 20_000 }, (_, n) => `${lineOf(n)}\n`).join("");
      const filler = join(directory, "filler");
      const before = freeBytes(directory);
      fill(filler, before - left);
      const refused = await controller.import(lines);
      expect([refused.status, refused.text]).toEqual([
        507,
        expect.stringContaining("urn:nearmiss:problem:storage-full"),
      ]);
      expect((await controller.request("GET", "/v1/vms/vm-0")).status).toBe(404);
      const names = readdirSync(directory).filter((name) => name !== "filler");
      expect(names.filter((name) => !name.startsWith("nearmiss.db"))).toEqual([]);
      rmSync(filler);
      // Of what was written nothing but free pages of the database and its log, which are used again.
      const kept = () =>
        ["nearmiss.db", "nearmiss.db-wal"].reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
      await waitFor(() => freeBytes(directory) >= before - kept(), { what: "the disk to be free again" });
      expect((await controller.import(lines)).status).toBe(200);
      await controller.call("GET", "/v1/vms/vm-19999");
    },
  );

  test.each([
    ["small", 300],
    ["large", 2_000],
  ])("is full in the middle of a %s transaction: nothing of it is written, and the store goes on", async (_, size) => {
    const directory = smallDisk();
    const store = openSqliteStore(join(directory, "nearmiss.db"));
    const state = new CommittedInventory();
    await store.commit(commitsOf(state, 1, [networkPut("blue", 100)], [hostPut("a", "192.0.2.1")]));
    const filler = join(directory, "filler");
    fill(filler);
    // SQLite's caches hold some pages back, so that not the first statement meets the disk.
    const big = Array.from({ length: size }, (_, i) => networkPut(`n-${i}`, 1_000 + i));
    const batch = commitsOf(CommittedInventory.of(await loadAll(store)), 3, big);
    await expect(store.commit(batch)).rejects.toThrow(StoreFullError);
    expect(await loadAll(store)).toMatchObject({ revision: 2, networks: [{ name: "blue" }] });
    rmSync(filler);
    await store.commit(commitsOf(state, 3, [vmPut("web-1", "a", 1)]));
    expect((await loadAll(store)).revision).toBe(3);
    await store.close();
  });

  test("is full while an import is moved to its tables: nothing of it is missing from the log, and it goes on with space", async () => {
    const directory = smallDisk("64m");
    const path = join(directory, "nearmiss.db");
    const store = openSqliteStore(path);
    const state = new CommittedInventory();
    const vms = Array.from({ length: 20_000 }, (_, n): Mutation => {
      const hex = n.toString(16).padStart(4, "0");
      const mac = `52:54:00:00:${hex.slice(0, 2)}:${hex.slice(2)}`;
      const interfaces = [{ network: "blue", mac, ips: [`fd00:20::1:${hex}`] }];
      return { kind: "vm.put", spec: parseVm(`vm-${n}`, { host: `h${n % 8}`, interfaces }) };
    });
    const hosts = Array.from({ length: 8 }, (_, n) => hostPut(`h${n}`, `192.0.2.${n + 1}`));
    const { commit, spool } = stagedCommitOf(state, 1, [networkPut("blue", 100), ...hosts, ...vms]);
    await store.commit([commit]);
    const filler = join(directory, "filler");
    fill(filler);
    state.apply([...commit.changes]);
    const refused = await untilFull(store, (revision, n) =>
      commitsOf(state, revision, [networkPut(`n-${n}`, 1_000 + n)]),
    );
    const other = new Database(path, { readonly: true });
    expect(other.prepare("SELECT moved FROM stages").pluck().get()).toBeLessThan(20_000);
    other.close();
    const from = { revision: parseRevision(0), index: Number.MAX_SAFE_INTEGER };
    expect(await store.readEvents(from, parseRevision(1), 30_000)).toHaveLength(commit.changes.length);
    rmSync(filler);
    const { revision, vms: stored } = await loadAll(store);
    expect([revision, stored.length]).toEqual([refused - 1, 20_000]);
    spool.close();
    await store.close();
  });

  test("fails an fsync: nothing is acknowledged, the process stops and says why, and what was acknowledged is there", async () => {
    const db = join(temporaryDirectory(), "nearmiss.db");
    const controller = await ControllerProcess.start(db);
    await controller.furnish();
    await controller.call("POST", "/v1/vms", vm(1));
    const detach = await failFsync(controller.process.pid);
    const reply = await controller.request("POST", "/v1/vms", vm(2)).catch(() => undefined);
    if (reply) expect(reply).toMatchObject({ status: 500, body: { type: "urn:nearmiss:problem:internal" } });
    expect(await controller.process.ended).toBe(1);
    const fatal = controller.process.logs.find(({ level }) => level === 60);
    expect(fatal?.msg).toBe("the store failed: stopping, so that nothing is guessed");
    expect(JSON.stringify(fatal)).toContain("SQLITE_IOERR_FSYNC");
    await detach();
    const again = await ControllerProcess.start(db);
    await again.call("GET", "/v1/vms/vm-1");
  });

  test("has returned corrupt data: refuses to start, and says how to restore", async () => {
    const db = join(temporaryDirectory(), "nearmiss.db");
    const controller = await ControllerProcess.start(db);
    await controller.furnish();
    for (let n = 1; n <= 50; n++) await controller.call("POST", "/v1/vms", vm(n));
    expect(await controller.process.stop()).toBe(0);
    const whole = readFileSync(db);
    const pages = statSync(db).size / 4_096;
    expect(pages).toBeGreaterThan(10);
    // The first page identifies the file, the others have its content.
    for (let page = 0; page < pages; page++) {
      if (whole.subarray(page * 4_096, (page + 1) * 4_096).every((byte) => byte === 0)) continue;
      writeFileSync(db, whole);
      overwrite(db, page * 4_096, 4_096);
      const refused = ControllerProcess.launch(db);
      expect(await refused.ended, `page ${page}`).toBe(1);
      const said = refused.logs.map(({ msg }) => msg).join("\n");
      if (page > 0) expect(said).toContain(`nearmiss restore BACKUP --db ${db}`);
      expect(said, `page ${page}`).toMatch(/is damaged|is not a SQLite database/);
      if (page > 3) break;
    }
    writeFileSync(db, whole);
    const again = await ControllerProcess.start(db);
    expect([...(await again.everything()).keys()].filter((name) => name.startsWith("vm/"))).toHaveLength(50);
  });

  test("is locked by another program: 503, the event loop continues, and writes succeed when it is unlocked", async () => {
    const db = join(temporaryDirectory(), "nearmiss.db");
    const controller = await ControllerProcess.start(db);
    await controller.furnish();
    const other = new Database(db);
    other.exec("BEGIN IMMEDIATE");
    const writes = [1, 2, 3, 4].map((n) => controller.request("POST", "/v1/vms", vm(n)));
    await controller.call("GET", "/v1/hosts/a");
    for (const reply of await Promise.all(writes)) {
      expect(reply).toMatchObject({ status: 503, body: { type: "urn:nearmiss:problem:unavailable" } });
    }
    other.exec("ROLLBACK");
    other.close();
    for (const n of [1, 2, 3, 4]) await controller.call("POST", "/v1/vms", vm(n));
  });
});

/** @returns the revision that was refused, of those behind the first that are committed one by one */
async function untilFull(store: Store, commitAt: (revision: number, n: number) => AuthoredCommit[]): Promise<number> {
  for (let revision = 2; ; revision++) {
    try {
      await store.commit(commitAt(revision, revision));
    } catch (error) {
      expect(error).toBeInstanceOf(StoreFullError);
      return revision;
    }
  }
}

/** A directory with 4 MiB of space. */
function smallDisk(size = "4m"): string {
  const directory = temporaryDirectory();
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", directory]);
  onTestFinished(() => void execFileSync("umount", ["--lazy", directory]));
  return directory;
}

function freeBytes(directory: string): number {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize;
}

/** Takes what space there is, to the last page. @param most bytes */
function fill(path: string, most = Number.POSITIVE_INFINITY): void {
  const file = openSync(path, "w");
  try {
    let written = 0;
    for (let size = 2 ** 20; size >= 4_096; ) {
      if (written + size > most) {
        size /= 2;
        continue;
      }
      try {
        const count = writeSync(file, Buffer.alloc(size, 1));
        written += count;
        if (count < size) size /= 2;
      } catch {
        size /= 2;
      }
    }
  } finally {
    closeSync(file);
  }
}

function overwrite(path: string, offset: number, length: number): void {
  const file = openSync(path, "r+");
  try {
    writeSync(file, Buffer.alloc(length, 0xa5), 0, length, offset);
    ftruncateSync(file, statSync(path).size);
  } finally {
    closeSync(file);
  }
}

/** From now on the kernel answers EIO to every fsync of the process. @returns a callback that ends this */
async function failFsync(pid: number | undefined): Promise<() => Promise<void>> {
  const calls = "fsync,fdatasync";
  const flags = ["-f", "-p", String(pid), "-e", `trace=${calls}`, "-e", `inject=${calls}:error=EIO`];
  const strace = spawn("strace", flags, { stdio: ["ignore", "ignore", "pipe"] });
  const ended = new Promise<void>((resolve) => strace.on("close", () => resolve()));
  onTestFinished(() => void strace.kill("SIGKILL"));
  await new Promise<void>((resolve, reject) => {
    strace.on("error", reject);
    const lines = createInterface({ input: strace.stderr });
    lines.on("line", (line) => {
      if (/attached/.test(line)) resolve();
    });
    lines.on("close", () => reject(new Error("strace could not attach")));
  });
  return async () => {
    strace.kill();
    await ended;
  };
}
