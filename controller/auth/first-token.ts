// The first start creates an admin token, readable by the user who may read the database anyway.
import { writeDurably } from "../../common/durable-file.ts";
import type { AccessStore } from "../store/access-store.ts";
import { makeToken } from "./tokens.ts";

export function firstTokenFile(db: string): string {
  return `${db}.admin-token`;
}

/**
 * The file is written before the row: a token without a readable file would count as the first one.
 * @returns the file, if this was the first start
 */
export async function writeFirstToken(access: AccessStore, db: string, now: Date): Promise<string | undefined> {
  if (await access.hasHadFirstToken()) return undefined;
  const by = { name: "the first start", role: "admin", scope: "all" } as const;
  const { token, secret } = makeToken({ role: "admin", note: "made at the first start", expires: null }, by, now);
  const file = firstTokenFile(db);
  writeDurably(file, `${secret}\n`);
  await access.addFirstToken(token, by);
  return file;
}
