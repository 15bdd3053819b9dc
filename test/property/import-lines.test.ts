// Lines of an import are checked while they are decided. What its sender learns is what a check of all lines and a decision after it
// would say: the same faults of the same lines, or the same results.
import { tmpdir } from "node:os";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ImportRefused, importLines } from "../../controller/bulk/import.ts";
import { parseLine } from "../../controller/bulk/resource-line.ts";
import { AddressPools } from "../../controller/inventory/address-pools.ts";
import { decideSteps, leavesAddress, type Numbered } from "../../controller/inventory/decide.ts";
import { Draft } from "../../controller/inventory/draft.ts";
import { atOnce } from "../../controller/inventory/steps.ts";
import { Spool } from "../../controller/store/spool.ts";
import { Committer } from "../../controller/write/committer.ts";
import { localMac, parseRevision } from "../../schema/address/index.ts";
import { by } from "../support/actors.ts";
import { runs } from "../support/property-runs.ts";
import { furnished } from "./inventory-model.ts";

const name = fc.constantFrom("v1", "v2", "v3", "v4", "v5");
const someVm = fc
  .record({ name, n: fc.integer({ min: 1, max: 6 }), host: fc.constantFrom("a", "b", "b", "nowhere") })
  .map(({ name, n, host }) => {
    const interfaces = [{ network: "blue", mac: `52:54:00:00:00:0${n}`, ips: [`10.0.0.${n}`] }];
    return { kind: "vm", name, host, interfaces };
  });
const someLine = fc.oneof(
  { weight: 12, arbitrary: someVm },
  { weight: 2, arbitrary: name.map((name) => ({ kind: "vm", name, delete: true })) },
  { weight: 1, arbitrary: name.map((name) => ({ kind: "vm", name, host: "a", interfaces: [{ network: "blue" }] })) },
  { weight: 2, arbitrary: fc.constantFrom("b", "d").map((name) => ({ kind: "host", name, vtep: "192.0.2.2" })) },
  { weight: 1, arbitrary: fc.constantFrom("blue", "red").map((name) => ({ kind: "network", name, delete: true })) },
  { weight: 1, arbitrary: fc.constant({ kind: "export", version: 1, revision: 1, epoch: "e" }) },
  { weight: 1, arbitrary: fc.constantFrom("{", '{"kind":"vm","name":"v9"}', '{"kind":"switch"}', "") },
);

/** Plainly: first all that is wrong with lines, then the decision over objects. */
function expected(committer: Committer, lines: readonly string[]) {
  const seen = new Map<string, number>();
  const faults: unknown[] = [];
  const mutations: Numbered[] = [];
  for (const [i, text] of lines.entries()) {
    const number = i + 1;
    if (text.trim() === "") continue;
    const parsed = parseLine(text);
    if (parsed.is === "bad") faults.push(...parsed.faults.map(({ detail }) => [number, detail]));
    else if (parsed.is === "head") {
      if (seen.size > 0) faults.push([number, "comes first, if at all"]);
    } else {
      const key = `${parsed.kind} ${parsed.name}`;
      const earlier = seen.get(key);
      if (earlier !== undefined) faults.push([number, `${parsed.kind} "${parsed.name}" is on line ${earlier} already`]);
      else seen.set(key, number);
      mutations.push({ number, mutation: parsed.mutation });
    }
  }
  if (faults.length > 0) return { faults };
  const refusals: [number, string][] = [];
  const results: unknown[] = [];
  const pools = new AddressPools(committer.current);
  const assigns = mutations.some(({ mutation }) => leavesAddress(mutation));
  let made = 0;
  const newMac = () => localMac(Uint8Array.of(2, 0, 0, 0, 1, made++));
  const context = { revision: parseRevision(9), newUid: () => "", addresses: { pools, newMac, nowMs: 0 } };
  const refused = ({ message }: Error, line: number | undefined) => void refusals.push([line ?? 0, message]);
  atOnce(
    decideSteps(new Draft(committer.current), { mutations, assigns }, context, {
      refused,
      laid: ({ number, mutation }, result) => {
        const name = "spec" in mutation ? mutation.spec.name : mutation.name;
        results.push({ line: number, kind: mutation.kind.split(".")[0], name, result });
      },
    }),
  );
  return refusals.length > 0 ? { faults: refusals.sort(([a], [b]) => a - b) } : { results };
}

async function actual(committer: Committer, lines: readonly string[]) {
  const deps = { committer, newRecords: () => new Spool({ directory: tmpdir(), memoryBytes: 1_048_576 }) };
  try {
    const body = [Buffer.from(lines.join("\n"))];
    const { results } = await importLines(() => body, deps, by, { dryRun: true });
    return { results: [...results].map((each) => JSON.parse(each)) };
  } catch (error) {
    if (!(error instanceof ImportRefused)) throw error;
    return { faults: error.faults.map(({ line, detail }) => [line ?? 0, detail]) };
  }
}

test("an import says of its lines what a check before the decision would say", async () => {
  const committer = await Committer.open({
    store: {
      load: async () => ({ revision: parseRevision(0), networks: [], hosts: [], released: [], receipts: [] }),
      commit: async () => {},
      stage: async () => {},
      unstage: async () => {},
      confirmHead: async () => {},
      readReceiptHeads: async () => [],
      readEvents: async () => [],
      readReceipt: async () => undefined,
    },
    now: () => new Date(0),
    onFatal: (error) => expect.fail(String(error)),
    onCommitted: () => {},
  });
  await committer.mutate(by, ...furnished);
  await fc.assert(
    fc.asyncProperty(fc.array(someLine, { minLength: 1, maxLength: 6 }), async (objects) => {
      const lines = objects.map((each) => (typeof each === "string" ? each : JSON.stringify(each)));
      expect(await actual(committer, lines)).toEqual(expected(committer, lines));
    }),
    { numRuns: runs(1_500) },
  );
});
