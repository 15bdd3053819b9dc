// An import that is decided while others write has the outcome that it has alone, at some head of the log: its changes are those of a
// decision at the head that it was appended to, and a refusal is right at a head that the log had in the time.
import { tmpdir } from "node:os";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Turns } from "../../common/cooperative.ts";
import { CommittedInventory } from "../../controller/inventory/committed-inventory.ts";
import { decideSteps, type Mutation } from "../../controller/inventory/decide.ts";
import { Draft } from "../../controller/inventory/draft.ts";
import { Refusal } from "../../controller/inventory/refusal.ts";
import { atOnce } from "../../controller/inventory/steps.ts";
import { Spool } from "../../controller/store/spool.ts";
import type { AuthoredCommit } from "../../controller/store/store.ts";
import { maxOvertaken } from "../../controller/write/change-sets.ts";
import { Committer } from "../../controller/write/committer.ts";
import { ChangeSetRefused } from "../../controller/write/orders.ts";
import type { Revision } from "../../schema/address/index.ts";
import { parseRevision } from "../../schema/address/index.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import { by } from "../support/actors.ts";
import { changeSetOf } from "../support/change-set.ts";
import { contentsOf } from "../support/inventory-contents.ts";
import { hasRareCases, runs } from "../support/property-runs.ts";
import { asLines, breaches, furnished, smallWorld, someChangeSets, someMutations } from "./inventory-model.ts";

/** A log in memory, as durable as it has to be here. */
class MemoryLog {
  readonly commits: (Omit<AuthoredCommit, "changes"> & { readonly changes: readonly ResourceChange[] })[] = [];

  get head(): Revision {
    return this.commits.at(-1)?.revision ?? parseRevision(0);
  }

  readonly store = {
    load: async () => ({ revision: parseRevision(0), networks: [], hosts: [], released: [], receipts: [] }),
    commit: async (batch: readonly AuthoredCommit[]) => {
      for (const commit of batch) {
        expect(commit.revision).toBe(this.head + 1);
        this.commits.push({ ...commit, changes: structuredClone([...commit.changes]) });
      }
    },
    stage: async () => {},
    unstage: async () => {},
    confirmHead: async (head: Revision) => expect(head).toBe(this.head),
    readReceiptHeads: async () => [],
    readEvents: async () => [],
    readReceipt: async () => undefined,
  };
}

/** After some steps of a decision, others write: `true` is a step behind which they do. */
class Interleaved implements Turns {
  private step = 0;
  constructor(
    private readonly pauses: readonly boolean[],
    private readonly write: () => void,
  ) {}

  get over(): boolean {
    this.step += 1;
    return this.pauses[this.step % this.pauses.length] ?? false;
  }

  async next(): Promise<void> {
    this.write();
    // Until it is published, unless the import excludes other writes now.
    for (let i = 0; i < 6; i++) await new Promise((resolve) => setImmediate(resolve));
  }
}

const importer = { ...by, name: "import" };

/** Others may be refused. */
const refusalsOnly = (error: unknown): void => {
  if (!(error instanceof Refusal)) throw error;
};

const withoutUid = (changes: Iterable<ResourceChange>) =>
  [...changes].map(({ kind, before, after }) => ({ kind, before, after: after && { ...after, uid: "" } }));

/** Of several VMs in the way a refusal names any, in any order. */
const withoutNames = ({ message }: Refusal): string => message.replaceAll(/"[^"]*"/g, '""');

/** The inventory that the log leads to. */
function replayed({ commits }: MemoryLog): CommittedInventory {
  const state = new CommittedInventory();
  for (const { changes } of commits) state.apply(changes);
  return state;
}

/** What the import does at the head of these commits, with nothing else going on. */
function outcomeAt(commits: MemoryLog["commits"], lines: readonly Mutation[]) {
  const state = new CommittedInventory();
  for (const { changes } of commits) state.apply(changes);
  const draft = new Draft(state);
  const refusals: unknown[] = [];
  const numbered = lines.map((mutation, number) => ({ mutation, number }));
  const context = { revision: ((commits.at(-1)?.revision ?? 0) + 1) as Revision, newUid: () => "" };
  const refused = (refusal: Refusal, mutation: number | undefined) =>
    void refusals.push([mutation, withoutNames(refusal)]);
  atOnce(decideSteps(draft, { mutations: numbered, assigns: false }, context, { refused, laid: () => {} }));
  return { refusals, changes: withoutUid(draft.changes()), breaches: breaches(state) };
}

test("an import that others overtake has the outcome of one decided alone", async () => {
  let overtaken = 0;
  let behind = 0;
  await fc.assert(
    fc.asyncProperty(
      someChangeSets,
      fc.array(someMutations, { minLength: 3, maxLength: 8 }).map(asLines),
      fc.array(someMutations, { minLength: 1, maxLength: 12 }),
      fc.array(fc.boolean(), { minLength: 1, maxLength: 12 }),
      async (before, lines, others, pauses) => {
        const log = new MemoryLog();
        const writes = [...others];
        let started: Promise<unknown>[] = [];
        const write = () => {
          const mutations = writes.shift();
          if (mutations) started.push(committer.mutate(by, ...mutations).catch(refusalsOnly));
        };
        const committer = await Committer.open({
          store: log.store,
          now: () => new Date(0),
          onFatal: (error) => expect.fail(String(error)),
          onCommitted: () => {},
          slices: () => new Interleaved(pauses, write),
          arrivingSlices: () => new Interleaved(pauses, write),
        });
        for (const each of [furnished, ...before.slice(0, 6)]) await committer.mutate(by, ...each).catch(refusalsOnly);
        started = [];
        const start = log.commits.length;
        let decisions = 0;
        const stage = () => {
          decisions += 1;
          return new Spool({ directory: tmpdir(), memoryBytes: 1_048_576 });
        };
        let refusals: unknown;
        await committer.mutateAll(importer, { ...changeSetOf(lines), stage }).catch((error: unknown) => {
          if (!(error instanceof ChangeSetRefused)) throw error;
          refusals = error.refusals.map(({ refusal, mutation }) => [mutation, withoutNames(refusal)]);
        });
        const end = log.commits.length;
        await Promise.all(started);
        expect(decisions).toBeLessThanOrEqual(maxOvertaken + 1);
        if (decisions > 1) overtaken += 1;
        expect(outcomeAt(log.commits, []).breaches).toEqual([]);
        expect(contentsOf(committer.current, smallWorld, "sorted")).toEqual(
          contentsOf(replayed(log), smallWorld, "sorted"),
        );
        const outcomes = Array.from({ length: end - start + 1 }, (_, i) =>
          outcomeAt(log.commits.slice(0, start + i), lines),
        );
        const at = log.commits.findIndex((each) => each.by.name === importer.name);
        if (at >= 0) {
          if (at > start) behind += 1;
          expect(outcomes[at - start]).toMatchObject({
            refusals: [],
            changes: withoutUid(log.commits[at]?.changes ?? []),
          });
        } else if (refusals) expect(outcomes.map((each) => each.refusals)).toContainEqual(refusals);
        else expect(outcomes).toContainEqual(expect.objectContaining({ refusals: [], changes: [] }));
      },
    ),
    { numRuns: runs(300) },
  );
  // Some were decided anew, and some were appended behind what others had written.
  if (hasRareCases) expect([overtaken > 0, behind > 0]).toEqual([true, true]);
});
