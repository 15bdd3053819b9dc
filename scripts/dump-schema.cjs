"use strict";
// Writes test/dumps/schema-000N.sql: what the built controller leaves in its database, as text. Run it before a migration is
// added, so that there is a database of the schema that the migration starts from.
const { spawn } = require("child_process");
const fs = require("fs");
const os = require("os");
const path = require("path");
require("./runtime.cjs").requireSupported();
const Database = require("better-sqlite3");

const root = path.join(__dirname, "..");

async function main() {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "nearmiss-dump-"));
  try {
    const file = path.join(directory, "nearmiss.db");
    await furnish(file);
    const db = new Database(file);
    const version = String(db.pragma("user_version", { simple: true })).padStart(4, "0");
    const target = path.join(root, "test", "dumps", `schema-${version}.sql`);
    fs.writeFileSync(target, dump(db), { flag: "wx" });
    process.stdout.write(`${target}\n`);
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}

/** Makes a little of everything: `test/contract/dumps.test.ts` expects exactly this. */
async function furnish(file) {
  const args = [path.join(root, "dist", "bin", "nearmiss.js"), "controller", "--listen", "127.0.0.1:0", "--db", file];
  const controller = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
  const ended = new Promise((resolve) => controller.on("exit", resolve));
  try {
    const port = await new Promise((resolve, reject) => {
      let log = "";
      controller.stderr.on("data", (text) => {
        log += text;
        const found = /"port":(\d+).*"listening"/.exec(log);
        if (found) resolve(found[1]);
      });
      controller.on("exit", () => reject(new Error(log)));
    });
    const token = fs.readFileSync(`${file}.admin-token`, "utf8").trim();
    const call = async (method, where, body) => {
      const headers = { authorization: `Bearer ${token}`, ...(body ? { "content-type": "application/json" } : {}) };
      const reply = await fetch(`http://127.0.0.1:${port}${where}`, { method, headers, body: JSON.stringify(body) });
      if (!reply.ok) throw new Error(`${method} ${where}: ${reply.status} ${await reply.text()}`);
    };
    const card = (mac, ips, more) => ({ network: "blue", mac: `52:54:00:00:00:0${mac}`, ips, ...more });
    await call("PUT", "/v1/networks/blue", { vni: 100, subnets: ["10.0.0.0/24", "fd00::/64"] });
    await call("PUT", "/v1/hosts/a", { vtep: "192.0.2.1" });
    await call("PUT", "/v1/hosts/b", { vtep: "192.0.2.2", port: 4790 });
    const first = card(1, ["10.0.0.1", "fd00::1"], { port: "tap1" });
    await call("POST", "/v1/vms", { name: "web-1", host: "a", interfaces: [first] });
    await call("POST", "/v1/vms", { name: "web-2", host: "b", interfaces: [card(2, ["10.0.0.2"])] });
    await call("PATCH", "/v1/vms/web-1", { host: "b" });
    await call("DELETE", "/v1/vms/web-2");
  } finally {
    controller.kill();
    await ended;
  }
}

function dump(db) {
  const all = db
    .prepare("SELECT type, name, sql FROM sqlite_schema WHERE sql NOT NULL AND name NOT LIKE 'sqlite_%'")
    .all();
  const tables = all.filter(({ type }) => type === "table");
  const version = db.pragma("user_version", { simple: true });
  return [
    `-- What a controller with schema ${version} wrote. It never changes.`,
    ...tables.map(({ sql }) => `${sql};`),
    ...tables.flatMap(({ name }) => rowsOf(db, name)),
    // Triggers come last: the dump already contains their counts.
    ...all.filter(({ type }) => type !== "table").map(({ sql }) => `${sql};`),
    `PRAGMA user_version = ${version};`,
    "",
  ].join("\n");
}

function rowsOf(db, table) {
  return db
    .prepare(`SELECT * FROM ${table}`)
    .all()
    .map((row) => {
      const values = Object.values(row).map(literal).join(", ");
      return `INSERT INTO ${table} (${Object.keys(row).join(", ")}) VALUES (${values});`;
    });
}

function literal(value) {
  if (value === null) return "NULL";
  if (typeof value === "number") return String(value);
  return Buffer.isBuffer(value) ? `x'${value.toString("hex")}'` : `'${value.replaceAll("'", "''")}'`;
}

main().catch((error) => {
  process.stderr.write(`nearmiss: no dump: ${error.message}\n`);
  process.exit(1);
});
