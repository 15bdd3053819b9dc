// What `register` is measured beside: one row in a transaction of its own with a full fsync, again and again.
//   node raw-sqlite.js <file> <ms>   prints a `RawReport`
import Database from "better-sqlite3";
import { vmBody } from "./body.ts";
import type { RawReport } from "./side.ts";

const [file = "", ms = ""] = process.argv.slice(2);
const db = new Database(file);
db.pragma("journal_mode = WAL");
db.pragma("synchronous = FULL");
db.exec("CREATE TABLE IF NOT EXISTS vms (name TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID");
const insert = db.prepare("INSERT OR REPLACE INTO vms VALUES (?, ?)");
const endMs = performance.now() + Number(ms);
let rows = 0;
while (performance.now() < endMs) {
  const body = vmBody(++rows);
  insert.run(body.name, JSON.stringify(body));
}
const report: RawReport = { rows, seconds: Number(ms) / 1_000 };
process.stdout.write(JSON.stringify(report));
