import { expect, test } from "vitest";
import type { Mutation } from "../../controller/inventory/decide.ts";
import { PinExpiredError } from "../../controller/inventory/pinned-inventory.ts";
import { Refusal } from "../../controller/inventory/refusal.ts";
import { type Commit, type Store, StoreBrokenError, StoreFullError } from "../../controller/store/store.ts";
import { maxOvertaken } from "../../controller/write/change-sets.ts";
import { Committer, type CommitterDeps } from "../../controller/write/committer.ts";
import { CommitterBusyError, CommitterStoppedError } from "../../controller/write/orders.ts";
import { parseIp, parseRevision, type Revision } from "../../schema/address/index.ts";
import { parseHost, parseNetwork, parseVm } from "../../schema/rest/index.ts";
import { by } from "../support/actors.ts";
import { changeSetOf } from "../support/change-set.ts";
import { holdTimeouts } from "../support/held-timeouts.ts";

/** A store whose commits wait until they are let through, or fail. */
class GatedStore implements Omit<Store, "access" | "credentials" | "logExtent" | "compactLog"> {
  readonly epoch = "test";
  readonly batches: (readonly Commit[])[] = [];
  private readonly gates: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];

  async load() {
    return { revision: parseRevision(0), networks: [], hosts: [], released: [], receipts: [] };
  }

  commit(batch: readonly Commit[]): Promise<void> {
    this.batches.push(batch);
    return new Promise((resolve, reject) => this.gates.push({ resolve, reject }));
  }

  async stage() {}

  async unstage() {}

  async confirmHead() {}

  async readReceiptHeads() {
    return [];
  }

  async readEvents() {
    return [];
  }

  async readEventsBack() {
    return [];
  }

  async readReceipt() {
    return undefined;
  }

  async close() {}

  async arrived(batches: number): Promise<void> {
    while (this.batches.length < batches) await new Promise((resolve) => setImmediate(resolve));
  }

  let(outcome: "through" | Error): void {
    const gate = this.gates.shift();
    if (outcome === "through") gate?.resolve();
    else gate?.reject(outcome);
  }
}

async function setUp(options: Pick<CommitterDeps, "maxWaitMs" | "slices" | "arrivingSlices"> = {}) {
  const store = new GatedStore();
  const fatal: unknown[] = [];
  const committer = await Committer.open({
    store,
    now: () => new Date(0),
    onFatal: (error) => fatal.push(error),
    onCommitted: () => {},
    ...options,
  });
  const published: Revision[] = [];
  committer.subscribe(({ revision }) => {
    published.push(revision);
  });
  return { store, fatal, committer, published };
}

const network = (name: string, vni: number): Mutation => ({
  kind: "network.put",
  spec: parseNetwork(name, { vni, subnets: ["10.0.0.0/24"] }),
});
const host = (name: string, vtep: string): Mutation => ({
  kind: "host.put",
  spec: parseHost(name, { vtep }, "operator"),
});

test("what is queued together is one batch, each mutation with its own revision, in order", async () => {
  const { store, committer, published } = await setUp();
  const all = [
    committer.mutate(by, network("n1", 1)),
    committer.mutate(by, network("n2", 2)),
    committer.mutate(by, network("n3", 3)),
  ];
  await store.arrived(1);
  expect(store.batches[0]?.map(({ revision }) => revision)).toEqual([1, 2, 3]);
  store.let("through");
  await Promise.all(all);
  expect(published).toEqual([1, 2, 3]);
});

test("one list of mutations is one revision with many changes", async () => {
  const { store, committer } = await setUp();
  const both = committer.mutate(by, network("n1", 1), host("a", "192.0.2.1"));
  await store.arrived(1);
  expect(store.batches[0]?.map(({ revision, changes }) => [revision, changes.length])).toEqual([[1, 2]]);
  store.let("through");
  expect((await both).touched).toHaveLength(2);
});

test("readers see nothing, and no write is acknowledged, before the batch is durable", async () => {
  const { store, committer, published } = await setUp();
  let acknowledged = false;
  const put = committer.mutate(by, network("n1", 1)).then(() => {
    acknowledged = true;
  });
  await store.arrived(1);
  expect([committer.revision, committer.current.findNetwork("n1"), published, acknowledged]).toEqual([
    0,
    undefined,
    [],
    false,
  ]);
  store.let("through");
  await put;
  expect(committer.current.findNetwork("n1")?.vni).toBe(1);
  expect(committer.revision).toBe(1);
});

test("only one batch is in flight; mutations that arrive then are decided after it", async () => {
  const { store, committer } = await setUp();
  const first = committer.mutate(by, network("n1", 1));
  await store.arrived(1);
  const second = committer.mutate(by, network("n2", 1));
  await new Promise((resolve) => setImmediate(resolve));
  expect(store.batches).toHaveLength(1);
  store.let("through");
  await first;
  await expect(second).rejects.toThrow('VNI 1 belongs to network "n1"');
  expect(store.batches).toHaveLength(1);
});

test("a refused mutation does not fail others in its batch, and uses no revision", async () => {
  const { store, committer } = await setUp();
  const all = [
    committer.mutate(by, network("n1", 1)),
    committer.mutate(by, network("n2", 1)),
    committer.mutate(by, network("n3", 3)),
  ];
  const settled = Promise.allSettled(all);
  await store.arrived(1);
  store.let("through");
  expect((await settled).map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  await expect(all[1]).rejects.toThrow(Refusal);
  expect(committer.revision).toBe(2);
});

test("a mutation without effect makes no commit", async () => {
  const { store, committer } = await setUp();
  const first = committer.mutate(by, network("n1", 1));
  await store.arrived(1);
  store.let("through");
  await first;
  const { touched } = await committer.mutate(by, network("n1", 1));
  expect(touched[0]?.after).toMatchObject({ name: "n1", revision: 1 });
  expect(store.batches).toHaveLength(1);
});

test("a full disk fails the batch, and the same batch can succeed afterwards", async () => {
  const { store, committer, fatal, published } = await setUp();
  const failing = [committer.mutate(by, network("n1", 1)), committer.mutate(by, host("a", "192.0.2.1"))];
  const settled = Promise.allSettled(failing);
  await store.arrived(1);
  store.let(new StoreFullError("full"));
  expect((await settled).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect([committer.revision, published, fatal]).toEqual([0, [], []]);
  const again = committer.mutate(by, network("other", 1));
  await store.arrived(2);
  store.let("through");
  await again;
  expect(committer.current.listNetworks().map(({ name }) => name)).toEqual(["other"]);
  expect(published).toEqual([1]);
});

/** Without addresses: they are assigned. */
const vm = (name: string): Mutation => ({
  kind: "vm.put",
  spec: parseVm(name, { host: "a", interfaces: [{ network: "n1" }] }),
});

const ipsOf = (commits: readonly Commit[] | undefined): string[] =>
  (commits ?? []).flatMap(({ changes }) =>
    [...changes].flatMap((change) =>
      change.kind === "vm" ? (change.after?.interfaces.flatMap(({ ips }) => ips) ?? []) : [],
    ),
  );

test("a full disk undoes changes that build on each other, the last one first", async () => {
  const { store, committer } = await setUp();
  const settled = Promise.allSettled([
    committer.mutate(by, network("n1", 1)),
    committer.mutate(by, network("n1", 2)),
    committer.mutate(by, { kind: "network.delete", name: "n1" }),
    committer.mutate(by, network("n2", 2)),
  ]);
  await store.arrived(1);
  expect(store.batches[0]).toHaveLength(4);
  store.let(new StoreFullError("full"));
  await settled;
  const again = [committer.mutate(by, network("n1", 1)), committer.mutate(by, network("n2", 2))];
  await store.arrived(2);
  expect(store.batches[1]?.flatMap(({ changes }) => [...changes])).toMatchObject([
    { kind: "network", before: null, after: { name: "n1", vni: 1 } },
    { kind: "network", before: null, after: { name: "n2", vni: 2 } },
  ]);
  store.let("through");
  await Promise.all(again);
});

test("an import that fails on a full disk leaves nothing behind, and the same import can succeed", async () => {
  const { store, committer, fatal, published } = await setUp();
  const lines = [network("n1", 1), host("a", "192.0.2.1"), vm("v1"), vm("v2")];
  const failing = expect(committer.mutateAll(by, changeSetOf(lines))).rejects.toThrow(StoreFullError);
  await store.arrived(1);
  store.let(new StoreFullError("full"));
  await failing;
  expect([committer.revision, committer.current.listNetworks(), published, fatal]).toEqual([0, [], [], []]);
  const again = committer.mutateAll(by, changeSetOf(lines));
  await store.arrived(2);
  const [first, second] = store.batches;
  expect(second?.map(({ changes }) => [...changes].map(({ before }) => before))).toEqual([[null, null, null, null]]);
  expect(ipsOf(second)).toEqual(ipsOf(first));
  store.let("through");
  await again;
  expect([committer.revision, published]).toEqual([1, [1]]);
});

/** Pauses once in each decision of a change set. */
const pausing = (pause: () => Promise<void>) => () => {
  let isFirst = true;
  return {
    get over() {
      return isFirst;
    },
    next: () => {
      isFirst = false;
      return pause();
    },
  };
};

/** As `changeSetOf`, with the number of its decisions. */
function countedSetOf(mutations: readonly Mutation[]) {
  const changeSet = changeSetOf(mutations);
  const counted = { ...changeSet, decisions: 0 };
  return Object.assign(counted, {
    stage: () => {
      counted.decisions += 1;
      return changeSet.stage();
    },
  });
}

test("others write while an import is decided, which is appended behind them without another decision", async () => {
  const write = async () => {
    const done = committer.mutate(by, host("z", "192.0.2.9"));
    await store.arrived(1);
    store.let("through");
    await done;
  };
  const { store, committer, published } = await setUp({ slices: pausing(write) });
  const lines = countedSetOf([network("n1", 1), host("a", "192.0.2.1"), vm("v1")]);
  const imported = committer.mutateAll(by, lines);
  await store.arrived(2);
  expect(committer.current.listHosts().map(({ name }) => name)).toEqual(["z"]);
  store.let("through");
  expect([await imported, lines.decisions, published]).toEqual([2, 1, [1, 2]]);
  expect(committer.current.findVm("v1")?.revision).toBe(2);
  const revisions = [...(store.batches[1]?.[0]?.changes ?? [])].map(({ after }) => after?.revision);
  expect(revisions).toEqual([2, 2, 2]);
});

test("an import that is overtaken in each decision excludes other writes from the last one", async () => {
  let overtaken = 0;
  let last: Promise<unknown> | undefined;
  const overtake = async () => {
    overtaken += 1;
    // The import names this host.
    const done = committer.mutate(by, host("a", `192.0.2.${10 + overtaken}`));
    if (lines.decisions > maxOvertaken) {
      last = done;
      return;
    }
    await store.arrived(overtaken);
    store.let("through");
    await done;
  };
  const { store, committer, published } = await setUp({ slices: pausing(overtake) });
  const lines = countedSetOf([network("n1", 1), host("a", "192.0.2.1"), vm("v1")]);
  const imported = committer.mutateAll(by, lines);
  await store.arrived(maxOvertaken + 1);
  store.let("through");
  expect([await imported, lines.decisions]).toEqual([maxOvertaken + 1, maxOvertaken + 1]);
  await store.arrived(maxOvertaken + 2);
  store.let("through");
  await last;
  expect(published).toEqual([1, 2, 3, 4]);
  expect(committer.current.findHost("a")?.vtep).toBe("192.0.2.13");
});

test("an import that looks for free addresses is decided anew where one that was freed is still taken in what it sees", async () => {
  const open: Mutation = { kind: "vm.put", spec: parseVm("v2", { host: "a", interfaces: [{ network: "n1" }] }) };
  const only = (subnets: string[]): Mutation => ({
    kind: "network.put",
    spec: parseNetwork("n1", { vni: 1, subnets, quarantineSeconds: 0 }),
  });
  let isFirst = true;
  const free = async () => {
    if (!isFirst) return;
    isFirst = false;
    const done = committer.mutate(by, { kind: "vm.delete", name: "v1" });
    await store.arrived(2);
    store.let("through");
    await done;
  };
  const { store, committer } = await setUp({ slices: pausing(free) });
  const furnished = committer.mutate(by, only(["10.0.0.0/30"]), host("a", "192.0.2.1"), vm("v1"));
  await store.arrived(1);
  store.let("through");
  await furnished;
  const lines = countedSetOf([open]);
  const imported = committer.mutateAll(by, lines);
  await store.arrived(3);
  store.let("through");
  expect([await imported, lines.decisions]).toEqual([3, 2]);
  expect(committer.current.findVm("v2")?.interfaces[0]?.ips).toEqual(["10.0.0.2"]);
});

/** Lets `count` commits through, one after the other. */
async function letThrough(store: GatedStore, from: number, count = 1): Promise<void> {
  for (let i = 0; i < count; i++) {
    await store.arrived(from + i);
    store.let("through");
  }
}

test("others write while an import arrives in memory; what touches it waits for its end", async () => {
  let waiting: Promise<unknown> | undefined;
  const order: string[] = [];
  const write = async () => {
    const beside = committer.mutate(by, host("z", "192.0.2.9"));
    // The import puts a VM on this host, and names this network.
    waiting = committer
      .mutate(by, { kind: "host.delete", name: "b" })
      .catch((error: Error) => order.push(error.message));
    await letThrough(store, 2);
    await beside;
    order.push("beside");
    expect(committer.current.listVms()).toEqual([]);
  };
  const { store, committer, published } = await setUp({ arrivingSlices: pausing(write) });
  const furnished = committer.mutate(by, network("n1", 1), host("a", "192.0.2.1"), host("b", "192.0.2.2"));
  await letThrough(store, 1);
  await furnished;
  const on = (name: string, where: string): Mutation => ({
    kind: "vm.put",
    spec: parseVm(name, { host: where, interfaces: [{ network: "n1" }] }),
  });
  const lines = countedSetOf([on("v1", "a"), on("v2", "b")]);
  const imported = committer.mutateAll(by, lines);
  await letThrough(store, 3);
  expect([await imported, lines.decisions, published]).toEqual([3, 1, [1, 2, 3]]);
  await waiting;
  expect(order).toEqual(["beside", 'host "b" runs VM "v2": move or delete them first']);
  expect(committer.current.listVms().map(({ name, revision }) => [name, revision])).toEqual([
    ["v1", 3],
    ["v2", 3],
  ]);
  expect(committer.current.layer).toBeUndefined();
});

test("what waits for an import that fails is decided without it", async () => {
  let waiting: Promise<unknown> | undefined;
  const write = async () => {
    waiting = committer.mutate(by, network("n1", 7));
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  };
  const { store, committer, published } = await setUp({ arrivingSlices: pausing(write) });
  const importing = expect(committer.mutateAll(by, changeSetOf([network("n1", 1)]))).rejects.toThrow(StoreFullError);
  await store.arrived(1);
  store.let(new StoreFullError("full"));
  await importing;
  await letThrough(store, 2);
  await waiting;
  expect([published, committer.current.findNetwork("n1")?.vni]).toEqual([[1], 7]);
});

test("what waits for an import that arrives is refused after a while", async () => {
  const tooLate: unknown[] = [];
  const write = async () => {
    await committer.mutate(by, network("n1", 7)).catch((error: unknown) => tooLate.push(error));
  };
  const { store, committer, published } = await setUp({ maxWaitMs: 1, arrivingSlices: pausing(write) });
  const imported = committer.mutateAll(by, changeSetOf([network("n1", 1)]));
  await letThrough(store, 1);
  await imported;
  expect(tooLate).toEqual([expect.any(CommitterBusyError)]);
  expect([published, committer.current.findNetwork("n1")?.vni]).toEqual([[1], 1]);
});

test("a second import that arrives at the same time waits for the first one", async () => {
  const { store, committer, published } = await setUp();
  const furnished = committer.mutate(by, network("n1", 1), host("a", "192.0.2.1"));
  await letThrough(store, 1);
  await furnished;
  const imports = [changeSetOf([vm("v1")]), changeSetOf([vm("v2")])].map((each) => committer.mutateAll(by, each));
  await letThrough(store, 2, 2);
  expect((await Promise.all(imports)).sort()).toEqual([2, 3]);
  expect(published).toEqual([1, 2, 3]);
  expect(
    new Set(committer.current.listVms().flatMap(({ interfaces }) => interfaces.flatMap(({ ips }) => ips))).size,
  ).toBe(2);
});

test("an import whose rows cannot be written is taken back out of the tables, and readers see none of it", async () => {
  const { store, committer, published } = await setUp();
  const furnished = committer.mutate(by, network("n1", 1), host("a", "192.0.2.1"), vm("v1"), vm("v2"));
  await store.arrived(1);
  store.let("through");
  await furnished;
  const contents = () => [committer.current.listNetworks(), committer.current.listHosts(), committer.current.listVms()];
  const before = contents();
  const moved: Mutation = {
    kind: "vm.put",
    spec: parseVm("v1", { host: "b", interfaces: [{ network: "n1", ips: ["10.0.0.9"] }] }),
  };
  const lines = [network("n2", 2), host("b", "192.0.2.2"), moved, { kind: "vm.delete", name: "v2" } as const, vm("v3")];
  const importing = expect(committer.mutateAll(by, changeSetOf(lines))).rejects.toThrow(StoreFullError);
  await store.arrived(2);
  // The tables have it by then, and have it no more.
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  expect(contents()).toEqual(before);
  store.let(new StoreFullError("full"));
  await importing;
  expect([contents(), published, committer.current.layer]).toEqual([before, [1], undefined]);
  expect(committer.current.findByIp("n1", parseIp("10.0.0.9"))).toBeUndefined();
  const again = committer.mutateAll(by, changeSetOf(lines));
  await store.arrived(3);
  store.let("through");
  await again;
  expect(committer.current.listVms().map(({ name, host }) => `${name} on ${host}`)).toEqual(["v1 on b", "v3 on a"]);
});

test("a mutation that waits too long behind an import is refused, and one that has its turn is not", async () => {
  const { store, committer, published } = await setUp({ maxWaitMs: 1 });
  const lines = [network("n1", 1), host("a", "192.0.2.1")];
  const first = committer.mutate(by, network("n0", 9));
  await store.arrived(1);
  const imported = committer.mutateAll(by, changeSetOf(lines));
  await expect(committer.mutate(by, network("n2", 2))).rejects.toThrow(CommitterBusyError);
  store.let("through");
  await first;
  await store.arrived(2);
  store.let("through");
  await imported;
  const last = committer.mutate(by, network("n3", 3));
  await store.arrived(3);
  store.let("through");
  await last;
  expect(published).toEqual([1, 2, 3]);
  expect(committer.current.listNetworks().map(({ name }) => name)).toEqual(["n0", "n1", "n3"]);
});

test("addresses of a batch that failed on a full disk are assigned at the next attempt", async () => {
  const { store, committer } = await setUp();
  const furnished = committer.mutate(by, network("n1", 1), host("a", "192.0.2.1"));
  await store.arrived(1);
  store.let("through");
  await furnished;
  for (let attempt = 2; attempt < 5; attempt++) {
    const settled = Promise.allSettled([committer.mutate(by, vm("v1")), committer.mutate(by, vm("v2"))]);
    await store.arrived(attempt);
    expect(ipsOf(store.batches.at(-1))).toEqual(["10.0.0.2", "10.0.0.3"]);
    store.let(new StoreFullError("full"));
    await settled;
  }
});

test("a broken store stops everything: nothing is shown, nothing more is accepted", async () => {
  const { store, committer, fatal } = await setUp();
  const first = committer.mutate(by, network("n1", 1));
  const refused = expect(first).rejects.toThrow(StoreBrokenError);
  await store.arrived(1);
  const queued = expect(committer.mutate(by, network("n2", 2))).rejects.toThrow(CommitterStoppedError);
  store.let(new StoreBrokenError("I/O error"));
  await Promise.all([refused, queued]);
  expect(fatal).toHaveLength(1);
  expect(committer.current.listNetworks()).toEqual([]);
  await expect(committer.mutate(by, network("n3", 3))).rejects.toThrow(CommitterStoppedError);
});

test("a listener that throws stops the process rather than leave hosts uninformed", async () => {
  const { store, committer, fatal } = await setUp();
  committer.subscribe(() => {
    throw new Error("bug");
  });
  const put = committer.mutate(by, network("n1", 1));
  await store.arrived(1);
  store.let("through");
  await put;
  expect(fatal).toEqual([new Error("bug")]);
});

test("stopping completes accepted mutations", async () => {
  const { store, committer } = await setUp();
  const accepted = committer.mutate(by, network("n1", 1));
  const stopped = committer.stop("stopping");
  await expect(committer.mutate(by, network("n2", 2))).rejects.toThrow("stopping");
  await store.arrived(1);
  store.let("through");
  await Promise.all([accepted, stopped]);
  expect(committer.revision).toBe(1);
});

test("what is pinned stays as it was when changes are published, until its time is over", async () => {
  const { store, committer } = await setUp();
  const pass = holdTimeouts();
  const pinned = committer.pin(1_000);
  const short = committer.pin(500);
  const done = committer.mutate(by, { kind: "network.put", spec: parseNetwork("blue", { vni: 100, subnets: [] }) });
  await store.arrived(1);
  store.let("through");
  await done;
  expect([committer.current.findNetwork("blue")?.vni, pinned.findNetwork("blue")]).toEqual([100, undefined]);
  pass(500);
  expect(() => short.findNetwork("blue")).toThrow(PinExpiredError);
  expect(pinned.listNetworks()).toEqual([]);
  pinned.release();
  pass(500);
  expect(() => pinned.findNetwork("blue")).toThrow("was released");
});
