// A change set as an import makes it, from mutations at hand.
import { tmpdir } from "node:os";
import { leavesAddress, type Mutation, type MutationResult } from "../../controller/inventory/decide.ts";
import { Spool } from "../../controller/store/spool.ts";
import type { ChangeSet } from "../../controller/write/orders.ts";

/** @param memoryBytes beyond which its records are in a file */
export function changeSetOf(
  mutations: readonly Mutation[],
  { dryRun = false, memoryBytes = 1_048_576 } = {},
): ChangeSet & { readonly results: MutationResult[] } {
  const results: MutationResult[] = [];
  return {
    mutations: mutations.map((mutation, number) => ({ mutation, number })),
    assigns: mutations.some(leavesAddress),
    dryRun,
    stage: () => {
      results.length = 0;
      return new Spool({ directory: tmpdir(), memoryBytes });
    },
    listener: { laid: (_, result) => results.push(result) },
    results,
  };
}
