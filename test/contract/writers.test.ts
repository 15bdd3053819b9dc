import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { openSqliteStore } from "../../controller/store/sqlite/sqlite-store.ts";
import { writersContract } from "./writers.ts";

writersContract("sqlite", () => {
  const directory = mkdtempSync(join(tmpdir(), "nearmiss-writers-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return { open: async () => openSqliteStore(join(directory, "nearmiss.db")) };
});
