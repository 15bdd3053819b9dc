// Drafts are made in a directory of their own, where no other user can plant files, including SQLite's extra files.
// Finished files get their names here and never replace an existing file.
import { chownSync, linkSync, lstatSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Owner, syncFile, writeNew } from "../../common/durable-file.ts";
import { StoreOpenError } from "../store/store.ts";

/** A draft beside its place to be, on the same file system. */
export interface Draft {
  /** In a directory that only this user may look into. */
  readonly file: string;
  remove(): void;
}

/** @throws StoreOpenError where the name of the directory is taken, by a link as well */
export function makeDraft(directory: string): Draft {
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") throw taken(directory);
    if (code === "ENOENT") throw new StoreOpenError(`${dirname(directory)} does not exist: make the directory first`);
    throw error;
  }
  return { file: join(directory, "draft.db"), remove: () => rmSync(directory, { recursive: true, force: true }) };
}

/**
 * Gives a finished draft its name. @param owner of it; absent: this user
 * @throws StoreOpenError where the name is taken
 */
export function publish(draft: string, path: string, owner?: Owner): void {
  giveTo(owner, [draft]);
  syncFile(draft);
  try {
    linkSync(draft, path); // unlike a rename, it never replaces what is there
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") throw taken(path);
    throw error;
  }
  syncFile(dirname(path));
}

/**
 * Makes a directory with these files, whole or not at all. @param draft a directory of this user's on the same file system. @param owner of
 * all of it; absent: this user
 * @throws StoreOpenError where there is one that has files
 */
export function publishDirectory(draft: string, path: string, files: ReadonlyMap<string, string>, owner?: Owner): void {
  const prepared = join(draft, "directory");
  mkdirSync(prepared, { mode: 0o700 });
  const names = [...files.keys()].map((name) => join(prepared, name));
  for (const [name, text] of files) writeNew(join(prepared, name), text);
  giveTo(owner, [...names, prepared]);
  syncFile(prepared);
  try {
    renameSync(prepared, path); // replaces an empty directory only
  } catch (error) {
    if (["ENOTEMPTY", "EEXIST", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) throw taken(path);
    throw error;
  }
  syncFile(dirname(path));
}

/** Before they have their names: in a draft's directory no other user can replace them. */
function giveTo(owner: Owner | undefined, paths: readonly string[]): void {
  if (owner) for (const path of paths) chownSync(path, owner.uid, owner.gid);
}

/** @throws StoreOpenError for the first that exists, links to nowhere included */
export function refuseTaken(paths: readonly string[]): void {
  const found = paths.find((path) => lstatSync(path, { throwIfNoEntry: false }) !== undefined);
  if (found !== undefined) throw taken(found);
}

function taken(path: string): StoreOpenError {
  return new StoreOpenError(`${path} exists and is not overwritten: move it away, or name another file`);
}
