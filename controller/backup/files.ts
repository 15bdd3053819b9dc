// Files that are there whole or not at all, and that take nobody's place.
import { closeSync, existsSync, fsyncSync, linkSync, openSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { StoreOpenError } from "../store/store.ts";

export function syncFile(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

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

export function writeNew(path: string, text: string): void {
  const descriptor = openSync(path, "wx", 0o600);
  try {
    writeSync(descriptor, text);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** @throws StoreOpenError for the first that exists */
export function refuseTaken(paths: readonly string[]): void {
  const found = paths.find((path) => existsSync(path));
  if (found !== undefined) throw taken(found);
}

function taken(path: string): StoreOpenError {
  return new StoreOpenError(`${path} exists, and nothing is overwritten: move it away, or name another file`);
}
