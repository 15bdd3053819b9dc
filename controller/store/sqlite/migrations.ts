// Brings a database file to the schema that this build knows. Files are append-only: one that was released never changes.
import { readdirSync, readFileSync } from "node:fs";
import type { Database } from "better-sqlite3";
import { StoreOpenError } from "../store.ts";

/** Beside the sources and beside the build alike. */
const directory = new URL("../../../schema/sqlite/", import.meta.url);

export interface Migration {
  /** The `user_version` after it. */
  readonly version: number;
  readonly sql: string;
}

export function readMigrations(): Migration[] {
  const files = readdirSync(directory).filter((file) => /^\d{4}_.*\.sql$/.test(file));
  const migrations = files
    .sort()
    .map((file) => ({ version: Number(file.slice(0, 4)), sql: readFileSync(new URL(file, directory), "utf8") }));
  const twice = migrations.find(({ version }, i) => version <= (migrations[i - 1]?.version ?? 0));
  if (twice) throw new Error(`schema/sqlite: number ${twice.version} exists twice`);
  return migrations;
}

/** The `user_version` of a database to which all of them were applied. */
export function newestOf(migrations: readonly Migration[]): number {
  return migrations.at(-1)?.version ?? 0;
}

/** @throws StoreOpenError for the file of a newer build or of another program */
export function migrate(db: Database, path: string, migrations: readonly Migration[]): void {
  const version = db.pragma("user_version", { simple: true }) as number;
  const newest = newestOf(migrations);
  if (version > newest) {
    throw new StoreOpenError(
      `${path} was written by a newer nearmiss (schema ${version}; this build knows up to ${newest}): ` +
        "run that version, or restore a backup from before the upgrade",
    );
  }
  if (version === 0 && db.prepare("SELECT 1 FROM sqlite_schema LIMIT 1").get()) {
    throw new StoreOpenError(`${path} is a database of another program: name another file with --db`);
  }
  for (const migration of migrations.filter((each) => each.version > version)) {
    db.transaction(() => {
      db.exec(migration.sql);
      db.pragma(`user_version = ${migration.version}`);
    }).immediate();
  }
}
