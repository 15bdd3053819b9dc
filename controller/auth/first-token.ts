// The first start makes an admin token, for whoever may read the database anyway.
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import type { AccessStore } from "../store/access-store.ts";
import { makeToken } from "./tokens.ts";

export function firstTokenFile(db: string): string {
  return `${db}.admin-token`;
}

/**
 * The file comes before the row: a token that nobody can read would count as the first one.
 * @returns the file, where this was the first start
 */
export async function writeFirstToken(access: AccessStore, db: string, now: Date): Promise<string | undefined> {
  if (await access.hasHadFirstToken()) return undefined;
  const by = { name: "the first start", role: "admin", scope: "all" } as const;
  const { token, secret } = makeToken({ role: "admin", note: "made at the first start", expires: null }, by, now);
  const file = firstTokenFile(db);
  writePrivately(file, `${secret}\n`);
  await access.addFirstToken(token, by);
  return file;
}

/** Whole or not at all, and only its owner can read it. */
function writePrivately(file: string, text: string): void {
  const draft = `${file}.new`;
  rmSync(draft, { force: true });
  const descriptor = openSync(draft, "wx", 0o600);
  try {
    writeSync(descriptor, text);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(draft, file);
}
