import type { Actor } from "../../schema/rest/index.ts";

/** An identity with all rights. */
export const by: Actor = { name: "a test", role: "admin", scope: "all" };
