// Files that hold secrets or must not be lost: only their owner can read them, they are whole or not there, they are on disk when
// these functions return, and nothing that another user planted under their names is followed or kept.
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

/**
 * Makes a file where none is. `wx` is O_EXCL, which refuses links, dangling ones too (open(2)).
 * @throws EEXIST
 */
export function writeNew(path: string, text: string): void {
  const descriptor = openSync(path, "wx", 0o600);
  try {
    writeFileSync(descriptor, text);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Makes a file in place of the one of that name, or of the link, which is not followed. */
export function writeDurably(path: string, text: string): void {
  const next = `${path}.new`;
  // A leftover of a crash, or planted: it could be a link, or readable by others.
  rmSync(next, { force: true });
  writeNew(next, text);
  renameSync(next, path);
  syncFile(dirname(path));
}
