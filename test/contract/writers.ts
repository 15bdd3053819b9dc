// What several writers of one log may rely on: each is a committer with an inventory of its own. The embedded store has one writer,
// which its lock ensures; here two committers share it, so that its guard of the head decides between them.
import { describe, expect, test } from "vitest";
import type { Mutation } from "../../controller/inventory/decide.ts";
import { Refusal } from "../../controller/inventory/refusal.ts";
import type { Store } from "../../controller/store/store.ts";
import { Committer } from "../../controller/write/committer.ts";
import { ChangeSetRefused, type Outcome } from "../../controller/write/orders.ts";
import { parseRevision, type Revision } from "../../schema/address/index.ts";
import { parseVm } from "../../schema/rest/index.ts";
import { by } from "../support/actors.ts";
import { changeSetOf } from "../support/change-set.ts";
import { loadAll } from "../support/stored.ts";
import { hostPut, networkPut, type StoreUnderTest, vmPut } from "./store.ts";

/** Addresses that it does not name are assigned. */
const vmCreate = (name: string, addresses: { readonly ips?: string[] } = {}): Mutation => ({
  kind: "vm.create",
  spec: parseVm(name, { host: "a", interfaces: [{ network: "blue", ...addresses }] }),
});

class Writer {
  readonly published: Revision[] = [];

  private constructor(
    readonly committer: Committer,
    readonly fatal: readonly unknown[],
  ) {
    committer.subscribe(({ revision, changes }) => {
      this.published.push(revision);
      // Readers see the revision when it is published, and no later one.
      for (const change of changes) {
        if (change.kind === "vm" && change.after)
          expect(committer.current.findVm(change.after.name)).toEqual(change.after);
      }
      expect(committer.revision).toBe(revision);
    });
  }

  static async open(store: Store): Promise<Writer> {
    const fatal: unknown[] = [];
    const committer = await Committer.open({
      store,
      now: () => new Date("2026-01-02T03:04:05.678Z"),
      onFatal: (error) => fatal.push(error),
      onCommitted: () => {},
    });
    return new Writer(committer, fatal);
  }

  do(...mutations: readonly Mutation[]): Promise<Outcome> {
    return this.committer.mutate(by, ...mutations);
  }

  /** Follows the log to its head: a change that is refused there is enough. */
  async catchUp(): Promise<void> {
    await expect(this.do({ kind: "vm.delete", name: "none" })).rejects.toThrow(Refusal);
  }
}

async function twoWriters(make: () => StoreUnderTest) {
  const store = await make().open();
  const one = await Writer.open(store);
  await one.do(networkPut("blue", 100), hostPut("a", "192.0.2.1"), hostPut("b", "192.0.2.2"));
  const two = await Writer.open(store);
  /** Both have published the same log, which is what the store has, and each revision of it once. */
  const check = async () => {
    await one.catchUp();
    await two.catchUp();
    const stored = await loadAll(store);
    const start = { revision: parseRevision(0), index: Number.MAX_SAFE_INTEGER };
    const events = await store.readEvents(start, stored.revision, 10_000);
    const revisions = [...new Set(events.map(({ revision }) => revision))];
    expect(revisions).toEqual(Array.from({ length: stored.revision }, (_, i) => i + 1));
    expect(one.published).toEqual(revisions);
    expect(two.published).toEqual(revisions.slice(1));
    const byName = [...stored.vms].sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const { committer, fatal } of [one, two]) {
      expect(committer.revision).toBe(stored.revision);
      expect(committer.current.listVms()).toEqual(byName);
      expect(fatal).toEqual([]);
    }
    await store.close();
    return { vms: byName, events };
  };
  return { store, one, two, check };
}

export function writersContract(name: string, make: () => StoreUnderTest): void {
  describe(`two writers of one log: ${name}`, () => {
    test("append every change once, and publish all of them in the same order without gaps", async () => {
      const { one, two, check } = await twoWriters(make);
      const writes = Array.from({ length: 60 }, async (_, n) => {
        // Some arrive together, some while others are being written.
        for (let turn = 0; turn < n % 7; turn++) await new Promise((resolve) => setImmediate(resolve));
        return (n % 2 === 0 ? one : two).do(vmCreate(`vm-${n}`));
      });
      await Promise.all(writes);
      const { vms, events } = await check();
      expect(vms).toHaveLength(60);
      expect(events).toHaveLength(63);
      const addresses = vms.flatMap(({ interfaces }) => interfaces.flatMap(({ mac, ips }) => [mac, ...ips]));
      expect(new Set(addresses).size).toBe(3 * 60);
    });

    test("of two changes that exclude each other the second is refused, and the rest of its batch is appended", async () => {
      const { one, two, check } = await twoWriters(make);
      const results = await Promise.allSettled([
        one.do(vmPut("web-1", "a", 1)),
        two.do(vmPut("web-2", "b", 1)),
        two.do(vmPut("web-3", "b", 3)),
        one.do({ ...vmPut("web-4", "a", 4), expect: { kind: "absent" } }),
        two.do({ ...vmPut("web-4", "b", 5), expect: { kind: "absent" } }),
      ]);
      const kept = results.map(({ status }) => status === "fulfilled");
      expect(kept[0]).not.toBe(kept[1]);
      expect(kept[2]).toBe(true);
      expect(kept[3]).not.toBe(kept[4]);
      for (const result of results) if (result.status === "rejected") expect(result.reason).toBeInstanceOf(Refusal);
      expect((await check()).vms).toHaveLength(3);
    });

    test("what a writer would refuse by what it knows is decided by what the log has", async () => {
      const { one, two, check } = await twoWriters(make);
      await one.do(vmPut("web-1", "a", 1));
      await two.catchUp();
      await one.do({ kind: "vm.delete", name: "web-1" });
      // It still knows web-1 with this address.
      expect((await two.do(vmPut("web-2", "b", 1))).touched[0]?.after).toMatchObject({ revision: 4 });
      await expect(one.do(vmPut("web-3", "a", 1))).rejects.toThrow(/belongs to VM "web-2"/);
      await one.do(vmPut("web-4", "a", 4));
      const dry = await two.committer.submit(by, { mutations: [{ kind: "vm.delete", name: "web-4" }], dryRun: true });
      expect(dry.touched[0]?.before).toMatchObject({ name: "web-4" });
      await check();
    });

    test("a precondition counts at the head, and what changes nothing there makes no revision", async () => {
      const { one, two, check } = await twoWriters(make);
      const made = await one.do(vmPut("web-1", "a", 1));
      await two.catchUp();
      await one.do(vmPut("web-1", "b", 1));
      const revisions = [parseRevision(made.touched[0]?.after?.revision ?? 0)];
      const stale = two.do({ ...vmPut("web-1", "a", 1), expect: { kind: "at", revisions } });
      await expect(stale).rejects.toThrow(/is at revision 3/);
      await one.do(vmPut("web-1", "a", 1));
      const same = await two.do(vmPut("web-1", "a", 1));
      expect(same.touched[0]?.before).toBe(same.touched[0]?.after);
      await check();
    });

    test("a request with an idempotency key is carried out once, by whichever writer gets it again", async () => {
      const { one, two, check } = await twoWriters(make);
      const order = { mutations: [vmCreate("web-1")], receipt: { key: "token a 1", fingerprint: "f" } };
      const outcomes = await Promise.all([one.committer.submit(by, order), two.committer.submit(by, order)]);
      expect(outcomes.filter(({ replayed }) => replayed)).toHaveLength(1);
      const [first, second] = outcomes;
      expect(first?.touched).toEqual(second?.touched);
      const other = { mutations: [vmCreate("web-2")], receipt: { key: "token a 1", fingerprint: "g" } };
      for (const { committer } of [one, two]) {
        await expect(committer.submit(by, other)).rejects.toThrow(/used for another request/);
      }
      expect((await check()).vms).toHaveLength(1);
    });

    test("a change set is decided anew as a whole, and refused only by what the log has", async () => {
      const { one, two, check } = await twoWriters(make);
      const lines = Array.from({ length: 600 }, (_, n) => vmCreate(`import-${n}`, { ips: [] }));
      const changeSet = changeSetOf(lines);
      await Promise.all([
        two.committer.mutateAll(by, changeSet),
        ...Array.from({ length: 20 }, (_, n) => one.do(vmCreate(`vm-${n}`))),
      ]);
      expect(changeSet.results).toHaveLength(600);
      await one.do({ kind: "vm.delete", name: "import-1" });
      await two.committer.mutateAll(by, changeSetOf([vmCreate("import-1")]));
      const again = one.committer.mutateAll(by, changeSetOf([vmCreate("import-1")]));
      await expect(again).rejects.toThrow(ChangeSetRefused);
      expect((await check()).vms).toHaveLength(620);
    });
  });
}
