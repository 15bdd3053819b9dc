import type { Database } from "better-sqlite3";

/**
 * Whether every page is where it should be and every row readable. Takes as long as reading the whole file.
 * @param thorough compares indexes with their tables as well
 * @returns the first thing that is wrong
 */
export function intactProblem(db: Database, { thorough = false } = {}): string | undefined {
  const check = thorough ? "integrity_check(1)" : "quick_check(1)";
  try {
    const result: unknown = db.pragma(check, { simple: true });
    return result === "ok" ? undefined : String(result).replaceAll("\n", ", ");
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
