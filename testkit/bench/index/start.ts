// A start from a database, in a process of its own.
//   node --expose-gc start.js <file> load|scan   prints a `StartReport`
import Database from "better-sqlite3";
import { openSqliteStore } from "../../../controller/store/sqlite/sqlite-store.ts";
import { Committer } from "../../../controller/write/committer.ts";

export interface StartReport {
  readonly cpuSeconds: number;
  /** Of the process, with all that was there before. */
  readonly rssBytes: number;
  /** More than before the start, after a collection: objects, and the buffers beside them. */
  readonly heapBytes: number;
  readonly residentBytes: number;
}

const [file = "", what] = process.argv.slice(2);

// The check of the whole file comes before both.
const store = openSqliteStore(file);

/** What is read of a database at a start, without doing anything with it. */
function scan(): unknown {
  const db = new Database(file, { readonly: true });
  let rows = 0;
  for (const table of ["networks", "hosts", "vms"]) {
    for (const _ of db.prepare(`SELECT * FROM ${table}`).iterate()) rows += 1;
  }
  db.close();
  return rows;
}

async function load(): Promise<unknown> {
  const committer = await Committer.open({ store, now: () => new Date(), onFatal: () => {}, onCommitted: () => {} });
  return { store, committer };
}

function collected(): NodeJS.MemoryUsage {
  for (let i = 0; i < 3; i++) globalThis.gc?.();
  return process.memoryUsage();
}

const before = collected();
const startedAt = process.cpuUsage();
const kept = what === "load" ? await load() : scan();
const { user, system } = process.cpuUsage(startedAt);
const after = collected();
const report: StartReport = {
  cpuSeconds: (user + system) / 1e6,
  rssBytes: after.rss,
  heapBytes: after.heapUsed + after.external - before.heapUsed - before.external,
  residentBytes: after.rss - before.rss,
};
process.stdout.write(JSON.stringify(report));
if (kept) process.exit(0);
