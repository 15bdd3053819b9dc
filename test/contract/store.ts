// What every store must do. The embedded one runs it today; a replicated one has to pass it unchanged.
import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { describe, expect, test, vi } from "vitest";
import type { StagedChanges } from "../../controller/inventory/changes.ts";
import { CommittedInventory } from "../../controller/inventory/committed-inventory.ts";
import { type DecisionListener, decide, decideSteps, type Mutation } from "../../controller/inventory/decide.ts";
import { Draft } from "../../controller/inventory/draft.ts";
import { atOnce } from "../../controller/inventory/steps.ts";
import { Spool } from "../../controller/store/spool.ts";
import {
  type AuthoredCommit,
  HeadMovedError,
  LogCompactedError,
  type LogPosition,
  type Store,
  StoreFullError,
} from "../../controller/store/store.ts";
import { parseRevision, type Revision } from "../../schema/address/index.ts";
import { parseHost, parseNetwork, parseVm } from "../../schema/rest/index.ts";
import { by } from "../support/actors.ts";
import { loadAll } from "../support/stored.ts";

export interface StoreUnderTest {
  /** Opens what `close` closed, or a new one the first time. */
  open(): Promise<Store>;
}

export const networkPut = (name: string, vni: number): Mutation => ({
  kind: "network.put",
  spec: parseNetwork(name, { vni, subnets: ["10.20.1.0/24", "fd00:20::/64"] }),
});
export const hostPut = (name: string, vtep: string): Mutation => ({
  kind: "host.put",
  spec: parseHost(name, { vtep }, "operator"),
});
export const vmPut = (name: string, host: string, n: number): Mutation => ({
  kind: "vm.put",
  spec: parseVm(name, {
    host,
    interfaces: [
      { network: "blue", mac: `52:54:00:00:00:0${n}`, ips: [`10.20.1.${n}`, `fd00:20::${n}`], port: `tap${n}` },
    ],
  }),
});

/** Commits as the committer would make them, each list of mutations one revision. */
export function commitsOf(
  state: CommittedInventory,
  from: number,
  ...lists: readonly (readonly Mutation[])[]
): AuthoredCommit[] {
  return lists.map((mutations, i) => {
    const revision = parseRevision(from + i);
    const { changes } = decide(state, mutations, { revision, newUid: randomUUID });
    state.apply(changes);
    return { revision, time: "2026-01-02T03:04:05.678Z", by, changes };
  });
}

/** As an import makes it: its VMs are records in a file, where they are too many for memory. */
export function stagedCommitOf(state: CommittedInventory, revision: number, mutations: readonly Mutation[]) {
  const spool = new Spool({ directory: tmpdir(), memoryBytes: 0 });
  const draft = new Draft(state, "all", spool);
  const context = { revision: parseRevision(revision), newUid: randomUUID };
  const listener: DecisionListener = {
    refused: (refusal) => {
      throw refusal;
    },
    laid: () => {},
  };
  const numbered = mutations.map((mutation, number) => ({ mutation, number }));
  atOnce(decideSteps(draft, { mutations: numbered, assigns: false }, context, listener));
  const commit: AuthoredCommit = {
    revision: parseRevision(revision),
    time: "2026-01-02T03:04:05.678Z",
    by,
    changes: draft.changes(),
  };
  return { commit, spool };
}

/** @param turn by which addresses move on: each VM has the address that the one before it had */
const manyVms = (turn: number): Mutation[] =>
  Array.from({ length: 1_000 }, (_, i): Mutation => {
    const n = (i + turn) % 1_000;
    const hex = n.toString(16).padStart(4, "0");
    const mac = `52:54:00:00:${hex.slice(0, 2)}:${hex.slice(2)}`;
    const interfaces = [{ network: "blue", mac, ips: [`fd00:20::1:${hex}`] }];
    return { kind: "vm.put", spec: parseVm(`vm-${i}`, { host: "a", interfaces }) };
  }).slice(turn);

const deletion = (name: string): Mutation => ({ kind: "vm.delete", name, ifPresent: true });

const start: LogPosition = { revision: parseRevision(0), index: Number.MAX_SAFE_INTEGER };

async function allEvents(store: Store, upTo: number) {
  return store.readEvents(start, upTo as Revision, 1_000);
}

const nothing = { revision: 0, networks: [], hosts: [], vms: [], released: [], receipts: [] };

const byName = <T extends { name: string }>(list: readonly T[]) => [...list].sort((a, b) => (a.name < b.name ? -1 : 1));

export function storeContract(name: string, make: () => StoreUnderTest): void {
  describe(`store: ${name}`, () => {
    test("a new one is empty, at revision 0", async () => {
      const store = await make().open();
      expect(await loadAll(store)).toEqual(nothing);
      expect(await allEvents(store, 10)).toEqual([]);
      await store.close();
    });

    test("a revision of thousands of changes is written like a small one, swaps included", async () => {
      const { open } = make();
      const store = await open();
      const state = new CommittedInventory();
      const networks = Array.from({ length: 1_000 }, (_, i) => networkPut(`n-${i}`, 1_000 + i));
      const swapped = networks.map((_, i) => networkPut(`n-${i}`, 1_000 + ((i + 1) % networks.length)));
      await store.commit(commitsOf(state, 1, networks, [hostPut("a", "192.0.2.1")]));
      await store.commit(commitsOf(state, 3, swapped));
      const third = await store.readEvents({ revision: parseRevision(2), index: 0 }, parseRevision(3), 2_000);
      expect(third.map(({ revision, index }) => [revision, index])).toEqual(networks.map((_, i) => [3, i]));
      await store.close();
      const again = await open();
      const { networks: read, hosts, revision } = await loadAll(again);
      expect([byName(read), hosts, revision]).toEqual([byName(state.listNetworks()), state.listHosts(), 3]);
      await again.close();
    });

    test("a revision of records in a file is written as its changes are, with networks and hosts, swaps and deletions", async () => {
      const store = await make().open();
      const state = new CommittedInventory();
      const first = [networkPut("blue", 100), hostPut("a", "192.0.2.1"), ...manyVms(0)];
      const second = [networkPut("red", 101), hostPut("b", "192.0.2.2"), ...manyVms(1), deletion("vm-0")];
      for (const [i, mutations] of [first, second].entries()) {
        const { commit, spool } = stagedCommitOf(state, i + 1, mutations);
        expect(spool.file()).toBeDefined();
        await store.commit([commit]);
        const changes = [...commit.changes];
        state.apply(changes);
        spool.close();
        const after = { revision: parseRevision(i), index: Number.MAX_SAFE_INTEGER };
        const events = await store.readEvents(after, parseRevision(i + 1), 5_000);
        expect(events.map(({ index, change }) => [index, change])).toEqual(changes.map((change, n) => [n, change]));
      }
      const { vms, hosts, networks, released } = await loadAll(store);
      expect(byName(vms)).toEqual(state.listVms());
      expect([byName(networks), byName(hosts)]).toEqual([state.listNetworks(), state.listHosts()]);
      // Also those that another VM has now.
      expect(released).toHaveLength(manyVms(0).length);
      await store.close();
    });

    test("a staged revision counts when it is committed, on whichever head, and is nothing when it is dropped", async () => {
      const place = make();
      const store = await place.open();
      const state = new CommittedInventory();
      await store.commit(commitsOf(state, 1, [networkPut("blue", 100), hostPut("a", "192.0.2.1")]));
      const { commit, spool } = stagedCommitOf(state, 2, [hostPut("b", "192.0.2.2"), ...manyVms(0)]);
      const staged = commit.changes as StagedChanges;
      await store.stage(staged);
      expect(await loadAll(store)).toMatchObject({ revision: 1, vms: [] });
      expect(await allEvents(store, 9)).toHaveLength(2);
      expect(await store.logExtent()).toMatchObject({ events: 2 });
      await store.commit(commitsOf(state, 2, [hostPut("c", "192.0.2.3")]));
      await expect(store.commit([commit])).rejects.toThrow(HeadMovedError);
      const changes = staged.at(parseRevision(3));
      await store.commit([{ ...commit, revision: parseRevision(3), changes }]);
      // Not before the tables have them all, or after: it makes no difference.
      expect(await store.logExtent()).toMatchObject({ events: 3 + changes.length });
      state.apply([...changes]);
      await store.commit(
        commitsOf(
          state,
          4,
          [{ kind: "vm.patch", name: "vm-0", patch: { host: "b" } }],
          [deletion("vm-1")],
          [{ kind: "host.delete", name: "c" }],
        ),
      );
      const third = await store.readEvents({ revision: parseRevision(2), index: 0 }, parseRevision(3), 5_000);
      expect(third.map(({ index, change }) => [index, change])).toEqual([...changes].map((change, n) => [n, change]));
      const of = { kind: "vm", name: "vm-0" } as const;
      const history = await store.readEventsBack({ revision: parseRevision(9), index: 0 }, 9, of);
      expect(history.map(({ revision }) => revision)).toEqual([4, 3]);
      await store.unstage(changes);
      const moves = state.listVms().map(({ name }): Mutation => ({ kind: "vm.patch", name, patch: { host: "b" } }));
      const dropped = stagedCommitOf(state, 7, [hostPut("d", "192.0.2.4"), ...moves]);
      await store.stage(dropped.commit.changes);
      await store.unstage(dropped.commit.changes);
      const abandoned = stagedCommitOf(state, 7, [hostPut("e", "192.0.2.5"), ...moves]);
      await store.stage(abandoned.commit.changes);
      await store.close();
      const again = await place.open();
      const { revision, vms, hosts } = await loadAll(again);
      expect([revision, byName(vms), byName(hosts)]).toEqual([6, state.listVms(), state.listHosts()]);
      for (const each of [spool, dropped.spool, abandoned.spool]) each.close();
      await again.close();
    });

    test("a revision whose records do not fit on the disk leaves nothing, and the next one is written", async () => {
      const store = await make().open();
      const state = new CommittedInventory();
      const mutations = [networkPut("blue", 100), hostPut("a", "192.0.2.1"), ...manyVms(0)];
      const { commit, spool } = stagedCommitOf(state, 1, mutations);
      const full = vi.spyOn(spool, "file").mockImplementation(() => {
        throw new StoreFullError("full");
      });
      await expect(store.commit([commit])).rejects.toThrow(StoreFullError);
      full.mockRestore();
      expect((await loadAll(store)).revision).toBe(0);
      await store.commit([commit]);
      expect((await loadAll(store)).vms).toHaveLength(manyVms(0).length);
      spool.close();
      await store.close();
    });

    test("deletes the expired receipts before it stores new ones", async () => {
      const store = await make().open();
      const receipt = (key: string) => ({ key, fingerprint: "f", atMs: 1, outcome: `{"of":"${key}"}` });
      await store.commit([], [receipt("token a 1"), receipt("token a 2"), receipt("token b 1")]);
      await store.commit([], [receipt("token a 2")], ["token a 1", "token a 2", "token c 9"]);
      expect((await loadAll(store)).receipts.map(({ key }) => key)).toEqual(["token b 1", "token a 2"]);
      expect(await store.readReceipt("token a 1")).toBeUndefined();
      expect(await store.readReceipt("token a 2")).toBe('{"of":"token a 2"}');
      await store.close();
    });

    test("reads the log backwards too, all of it or of one resource", async () => {
      const store = await make().open();
      const state = new CommittedInventory();
      const commits = commitsOf(
        state,
        1,
        [networkPut("blue", 100), hostPut("a", "192.0.2.1"), hostPut("b", "192.0.2.2")],
        [vmPut("web", "a", 1)],
        [vmPut("db", "a", 2)],
        [vmPut("web", "b", 1)],
      );
      await store.commit(commits);
      const end: LogPosition = { revision: parseRevision(9), index: 0 };
      const back = (before: LogPosition, limit: number, of?: { kind: "vm" | "host"; name: string }) =>
        store
          .readEventsBack(before, limit, of)
          .then((events) => events.map(({ revision, index }) => `${revision}.${index}`));
      expect(await back(end, 10)).toEqual(["4.0", "3.0", "2.0", "1.2", "1.1", "1.0"]);
      expect(await back(end, 2)).toEqual(["4.0", "3.0"]);
      expect(await back({ revision: parseRevision(1), index: 2 }, 10)).toEqual(["1.1", "1.0"]);
      expect(await back(end, 10, { kind: "vm", name: "web" })).toEqual(["4.0", "2.0"]);
      expect(await back({ revision: parseRevision(4), index: 0 }, 10, { kind: "vm", name: "web" })).toEqual(["2.0"]);
      expect(await back(end, 10, { kind: "host", name: "web" })).toEqual([]);
      await store.close();
    });

    test("after reopening it has the same state, log and epoch", async () => {
      const place = make();
      const store = await place.open();
      const state = new CommittedInventory();
      const batch = commitsOf(
        state,
        1,
        [networkPut("blue", 100)],
        [hostPut("a", "192.0.2.1")],
        [vmPut("web-1", "a", 1)],
        [hostPut("b", "192.0.2.2")],
        [{ kind: "vm.patch", name: "web-1", patch: { host: "b" } }],
        [{ kind: "host.delete", name: "a" }],
        [hostPut("c", "192.0.2.3"), { kind: "vm.prepare", name: "web-1", host: "c" }],
        [{ kind: "host.patch", name: "c", patch: { down: true } }],
      );
      await store.commit(batch.slice(0, 2));
      await store.commit(batch.slice(2));
      await store.close();

      const again = await place.open();
      expect(again.epoch).toBe(store.epoch);
      const { revision, networks, hosts, vms } = await loadAll(again);
      expect(revision).toBe(8);
      expect(networks).toEqual(state.listNetworks());
      expect(byName(hosts)).toEqual(state.listHosts());
      expect(vms).toEqual(state.listVms());
      const events = await allEvents(again, 8);
      expect(events.map(({ revision, index, change }) => [revision, index, change])).toEqual(
        batch.flatMap(({ revision, changes }) => Array.from(changes, (change, index) => [revision, index, change])),
      );
      expect(events.every(({ time, dataVersion }) => time === "2026-01-02T03:04:05.678Z" && dataVersion === 2)).toBe(
        true,
      );
      await again.close();
    });

    test("two stores have different epochs", async () => {
      const [one, two] = await Promise.all([make().open(), make().open()]);
      expect(one.epoch).not.toBe(two.epoch);
      await Promise.all([one.close(), two.close()]);
    });

    test("one change set may swap addresses, VTEPs and VNIs, and replace resources that it deletes", async () => {
      const place = make();
      const store = await place.open();
      const state = new CommittedInventory();
      const batch = commitsOf(
        state,
        1,
        [networkPut("blue", 100), networkPut("red", 200), hostPut("a", "192.0.2.1"), hostPut("b", "192.0.2.2")],
        [vmPut("web-1", "a", 1), vmPut("web-2", "b", 2)],
        [vmPut("web-1", "a", 2), vmPut("web-2", "b", 1), hostPut("a", "192.0.2.2"), hostPut("b", "192.0.2.1")],
        [
          { kind: "vm.delete", name: "web-1" },
          { kind: "vm.delete", name: "web-2" },
          networkPut("blue", 200),
          networkPut("red", 100),
        ],
      );
      await store.commit(batch);
      await store.close();
      const again = await place.open();
      const stored = await loadAll(again);
      expect(byName(stored.networks)).toEqual(state.listNetworks());
      expect(byName(stored.hosts)).toEqual(state.listHosts());
      expect(stored.vms).toEqual([]);
      await again.close();
    });

    test("a batch in which one commit cannot be stored leaves nothing", async () => {
      const store = await make().open();
      const batch = commitsOf(new CommittedInventory(), 1, [networkPut("blue", 100)], [hostPut("a", "192.0.2.1")]);
      const [first, second] = batch;
      if (!first || !second) throw new Error("unreachable");
      await expect(
        store.commit([first, { ...second, changes: [...second.changes, ...second.changes] }]),
      ).rejects.toThrow();
      expect(await loadAll(store)).toEqual(nothing);
      expect(await allEvents(store, 10)).toEqual([]);
      await store.commit(batch);
      expect((await loadAll(store)).revision).toBe(2);
      await store.close();
    });

    test.each([
      ["small", 1],
      ["large", 1_000],
    ])(
      "a %s batch that was decided on an older head is refused, and is appended when decided anew",
      async (_, size) => {
        const store = await make().open();
        const ours = new CommittedInventory();
        await store.commit(commitsOf(ours, 1, [networkPut("blue", 100)]));
        const theirs = CommittedInventory.of(await loadAll(store));
        await store.commit(commitsOf(theirs, 2, [hostPut("a", "192.0.2.1")]));
        const many = Array.from({ length: size }, (_, i) => networkPut(`n-${i}`, 1_000 + i));
        const stale = commitsOf(ours, 2, many);
        const error = await store.commit(stale).catch((error: unknown) => error);
        expect(error).toBeInstanceOf(HeadMovedError);
        expect(error).toMatchObject({ head: 2 });
        const ahead = commitsOf(CommittedInventory.of(await loadAll(store)), 4, many);
        await expect(store.commit(ahead)).rejects.toThrow(HeadMovedError);
        expect(await loadAll(store)).toMatchObject({
          revision: 2,
          networks: [{ name: "blue" }],
          hosts: [{ name: "a" }],
        });
        await store.commit(commitsOf(theirs, 3, many));
        expect(await loadAll(store)).toMatchObject({ revision: 3 });
        await store.close();
      },
    );

    test("simultaneous batches are appended in order, each with its precondition checked", async () => {
      const store = await make().open();
      const state = new CommittedInventory();
      const batches = [1, 2, 3, 4].map((n) => commitsOf(state, n, [networkPut(`n${n}`, n)]));
      const again = commitsOf(new CommittedInventory(), 3, [networkPut("other", 9)]);
      const results = await Promise.allSettled([...batches, again].map((batch) => store.commit(batch)));
      expect(results.map(({ status }) => status)).toEqual([
        "fulfilled",
        "fulfilled",
        "fulfilled",
        "fulfilled",
        "rejected",
      ]);
      expect((await allEvents(store, 9)).map(({ revision }) => revision)).toEqual([1, 2, 3, 4]);
      await store.close();
    });

    test("events are read in pages by position, up to a revision", async () => {
      const store = await make().open();
      const batch = commitsOf(
        new CommittedInventory(),
        1,
        [networkPut("n1", 1), networkPut("n2", 2), networkPut("n3", 3)],
        [networkPut("n4", 4)],
        [networkPut("n5", 5)],
      );
      await store.commit(batch);
      const positions: string[] = [];
      for (let after = start; ; ) {
        const page = await store.readEvents(after, parseRevision(2), 2);
        positions.push(page.map(({ revision, index }) => `${revision}.${index}`).join(" "));
        const last = page.at(-1);
        if (!last) break;
        after = last;
      }
      expect(positions).toEqual(["1.0 1.1", "1.2 2.0", ""]);
      await store.close();
    });

    test("deletes whole revisions from the oldest, by number and by age, in parts, and returns how far", async () => {
      const place = make();
      const store = await place.open();
      const lists = [[1, 2, 3], [4], [5, 6, 7, 8], [9], [10]];
      const batch = commitsOf(
        new CommittedInventory(),
        1,
        ...lists.map((vnis) => vnis.map((vni) => networkPut(`n${vni}`, vni))),
      ).map((commit) => ({ ...commit, time: `2026-01-0${commit.revision}T00:00:00.000Z` }));
      await store.commit(batch);
      expect(await store.logExtent()).toEqual({ compacted: 0, events: 10 });
      const left = async () => {
        const { compacted, events } = await store.logExtent();
        const read = await store.readEvents({ ...start, revision: compacted }, parseRevision(5), 100);
        return { compacted, events, revisions: [...new Set(read.map(({ revision }) => revision))] };
      };
      expect(await store.compactLog({ before: "", maxEvents: 10 }, 100)).toBe(false);
      expect(await store.compactLog({ before: "2026-01-02", maxEvents: 10 }, 100)).toBe(true);
      expect(await left()).toEqual({ compacted: 1, events: 7, revisions: [2, 3, 4, 5] });
      // Six are one too many, so the third revision goes too: it is deleted in part, and nothing of it may be read.
      while ((await store.logExtent()).events > 4) await store.compactLog({ before: "", maxEvents: 5 }, 2);
      expect(await left()).toEqual({ compacted: 3, events: 3, revisions: [4, 5] });
      await expect(store.readEvents({ revision: parseRevision(3), index: 1 }, parseRevision(5), 9)).rejects.toThrow(
        LogCompactedError,
      );
      await store.close();

      const again = await place.open();
      while (await again.compactLog({ before: "9999", maxEvents: 0 }, 2));
      expect(await again.logExtent()).toEqual({ compacted: 4, events: 1 });
      expect((await loadAll(again)).revision).toBe(5);
      await again.close();
    });
  });
}
