// When the database was backed up last: a file beside it, written by each backup, since that is a process of its own.
import { closeSync, constants, openSync, readSync } from "node:fs";
import { writeDurably } from "../../common/durable-file.ts";

const file = (db: string): string => `${db}.last-backup`;
/** More than it has. */
const maxBytes = 64;

/** @throws Error where it cannot be written */
export function noteBackup(db: string, at: Date): void {
  writeDurably(file(db), `${at.toISOString()}\n`);
}

/** @returns undefined where there was none, or what is there says no time */
export function readLastBackup(db: string): Date | undefined {
  let descriptor: number | undefined;
  try {
    // Not a link, and no wait for the other end of a pipe, which another user may have put there.
    descriptor = openSync(file(db), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const bytes = Buffer.alloc(maxBytes);
    const text = bytes.toString("utf8", 0, readSync(descriptor, bytes)).trim();
    const at = new Date(text);
    return Number.isNaN(at.getTime()) || at.toISOString() !== text ? undefined : at;
  } catch {
    return undefined;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}
