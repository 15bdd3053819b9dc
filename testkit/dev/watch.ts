// Changes of files below some folders. Each directory has its own watch, which is active when `watchFolders` returns.
import { type FSWatcher, readdirSync, statSync, watch } from "node:fs";
import { join, relative } from "node:path";

/** An editor truncates a file and writes it: one change, after it has been quiet for so long. */
const quietMs = 50;

/**
 * @param onChange once for each file that was written, made, renamed or deleted; its path below `root`
 * @returns ends it
 */
export function watchFolders(root: string, folders: readonly string[], onChange: (file: string) => void): () => void {
  const watchers = new Map<string, FSWatcher>();
  const quiet = new Map<string, NodeJS.Timeout>();

  const report = (path: string): void => {
    clearTimeout(quiet.get(path));
    const settled = (): void => {
      quiet.delete(path);
      onChange(relative(root, path));
    };
    quiet.set(path, setTimeout(settled, quietMs));
  };
  const look = (path: string, isNew: boolean): void => {
    const isDirectory = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
    if (isDirectory) add(path, isNew);
    else if (isNew) report(path);
  };
  const add = (directory: string, isNew: boolean): void => {
    if (watchers.has(directory)) return;
    const forget = (): void => {
      watchers.get(directory)?.close();
      watchers.delete(directory);
    };
    const watcher = watch(directory, (_event, name) => {
      if (name !== null) look(join(directory, name), true);
    });
    watchers.set(directory, watcher.on("error", forget));
    for (const name of readdirSync(directory)) look(join(directory, name), isNew);
  };

  for (const folder of folders) look(join(root, folder), false);
  return () => {
    for (const watcher of watchers.values()) watcher.close();
    for (const timer of quiet.values()) clearTimeout(timer);
  };
}
