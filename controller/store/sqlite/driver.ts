// better-sqlite3 in the version that the running Node can load. 12 destroys its objects through Node's ObjectWrap, which from
// Node 24.19 on aborts the process where the garbage collector runs outside of any script; 13, on Node-API, needs Node 22.
import { createRequire } from "node:module";
import type BetterSqlite3 from "better-sqlite3";

const firstMajorFor13 = 22;
const major = Number(process.versions.node.split(".")[0]);

export const Database = createRequire(import.meta.url)(
  major >= firstMajorFor13 ? "better-sqlite3-13" : "better-sqlite3",
) as typeof BetterSqlite3;
export type Database = BetterSqlite3.Database;
