// Files without a name, for what an import keeps on disk: nothing of them remains however the process ends, and no other user can
// open them.
import { randomUUID } from "node:crypto";
import { constants, openSync, unlinkSync } from "node:fs";
import { join } from "node:path";

/** O_TMPFILE of open(2), which Node does not name: the same on all architectures that it runs on, beside O_DIRECTORY. */
const tmpfile = 0o20_000_000 | constants.O_DIRECTORY;

/** @returns a descriptor, for reading and writing */
export function openNameless(directory: string): number {
  try {
    return openSync(directory, tmpfile | constants.O_RDWR | constants.O_EXCL, 0o600);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && lacksTmpfile.has(String(error.code)))) throw error;
    return openUnlinked(directory);
  }
}

/** Not every file system can make a file without a name. */
const lacksTmpfile = new Set(["EOPNOTSUPP", "ENOTSUP", "EISDIR", "EINVAL"]);

/** `wx` is O_EXCL, which refuses links. */
function openUnlinked(directory: string): number {
  const path = join(directory, `nearmiss-import-${randomUUID()}`);
  const descriptor = openSync(path, "wx+", 0o600);
  unlinkSync(path);
  return descriptor;
}

/** The disk, or the user's share of it, is full. */
export function isDiskFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOSPC" || error.code === "EDQUOT");
}
