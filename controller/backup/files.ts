// Finished files get their names here, and take nobody's place.
import { existsSync, linkSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { syncFile } from "../durable-file.ts";
import { StoreOpenError } from "../store/store.ts";

/** Gives a finished draft its name. @throws StoreOpenError where the name is taken */
export function publish(draft: string, path: string): void {
  syncFile(draft);
  try {
    linkSync(draft, path); // unlike a rename, it never replaces what is there
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") throw taken(path);
    throw error;
  }
  rmSync(draft);
  syncFile(dirname(path));
}

/** @throws StoreOpenError for the first that exists */
export function refuseTaken(paths: readonly string[]): void {
  const found = paths.find((path) => existsSync(path));
  if (found !== undefined) throw taken(found);
}

function taken(path: string): StoreOpenError {
  return new StoreOpenError(`${path} exists, and nothing is overwritten: move it away, or name another file`);
}
