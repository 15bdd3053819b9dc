// Files that hold secrets or must not be lost: only their owner can read them, they are there whole or not at all, and they are on
// disk when these return.
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** Also of a directory, after what is in it has changed. */
export function syncFile(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** A file where none was. @throws EEXIST */
export function writeNew(path: string, text: string): void {
  const descriptor = openSync(path, "wx", 0o600);
  try {
    writeFileSync(descriptor, text);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** A file, in the place of what was there. */
export function writeDurably(path: string, text: string): void {
  const next = `${path}.new`;
  // Not written over: it could be a link, or readable by others.
  rmSync(next, { force: true });
  writeNew(next, text);
  renameSync(next, path);
  syncFile(dirname(path));
}
