// Files that hold secrets or must not be lost: only their owner can read them, they are complete or absent, they are on disk
// when these functions return, and files or links that another user planted under their names are neither followed nor kept.
import { closeSync, fsyncSync, openSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** Also of a directory, after a change of its entries. */
export function syncFile(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Whose the files are to be that root makes in this directory for a program of another user, such as a database that `sudo nearmiss
 * restore` makes for a controller without privileges. undefined: they stay those of the user who makes them.
 */
export function findOwner(directory: string): Owner | undefined {
  if (process.geteuid?.() !== 0) return undefined;
  const { uid, gid } = statSync(directory);
  return uid === 0 ? undefined : { uid, gid };
}

/**
 * Creates a file that must not exist. `wx` is O_EXCL, which refuses links, dangling ones too (open(2)).
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

/** Replaces the file of that name. A link is replaced, not followed. */
export function writeDurably(path: string, text: string): void {
  const next = `${path}.new`;
  // Left by a crash, or planted: it could be a link, or readable by others.
  rmSync(next, { force: true });
  writeNew(next, text);
  renameSync(next, path);
  syncFile(dirname(path));
}
