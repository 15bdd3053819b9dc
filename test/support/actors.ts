import type { Actor } from "../../schema/rest/index.ts";

/** Whoever may do everything. */
export const by: Actor = { name: "a test", role: "admin", scope: "all" };
