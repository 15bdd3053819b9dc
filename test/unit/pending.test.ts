// What the committer decides and has not stored yet; controller-committer.test.ts has it with a store behind it.
import { beforeEach, describe, expect, test } from "vitest";
import { AddressPools } from "../../controller/inventory/address-pools.ts";
import { CommittedInventory } from "../../controller/inventory/committed-inventory.ts";
import type { Mutation } from "../../controller/inventory/decide.ts";
import type { PendingInventory } from "../../controller/inventory/pending-inventory.ts";
import { atOnce } from "../../controller/inventory/steps.ts";
import { Arrival } from "../../controller/write/arrival.ts";
import { ChangeSetRefused, maxRefusals, type Outcome } from "../../controller/write/orders.ts";
import { type Batch, Pending } from "../../controller/write/pending.ts";
import { Receipts } from "../../controller/write/receipts.ts";
import { parseRevision } from "../../schema/address/index.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import { type Actor, parseHost, parseNetwork, parseVm } from "../../schema/rest/index.ts";
import { by } from "../support/actors.ts";
import { changeSetOf } from "../support/change-set.ts";

const network = (name: string, vni: number): Mutation => ({
  kind: "network.put",
  spec: parseNetwork(name, { vni, subnets: ["10.0.0.0/29"] }),
});
const host = (name: string, vtep: string): Mutation => ({
  kind: "host.put",
  spec: parseHost(name, { vtep }, "operator"),
});
/** Its addresses are assigned. */
const vm = (name: string, on = "a"): Mutation => ({
  kind: "vm.put",
  spec: parseVm(name, { host: on, interfaces: [{ network: "blue" }] }),
});
const furnished = [network("blue", 100), host("a", "192.0.2.1"), host("b", "192.0.2.2")];
const request = { key: "token a 1", fingerprint: "f" };

let committed: CommittedInventory;
let inventory: PendingInventory;
let receipts: Receipts;
let stored: Map<string, string>;
let nowMs: number;
let pending: Pending;
let batch: Batch;

const emptyBatch = (after: number): Batch => ({ after: parseRevision(after), commits: [], ended: [], receipts: [] });
const decide = (mutations: readonly Mutation[], actor: Actor = by): Outcome => {
  const outcome = pending.decide(actor, { mutations }, batch);
  if (outcome instanceof Promise) throw new Error("a replay");
  return outcome;
};
const ipsOf = (changes: readonly ResourceChange[]): string[] =>
  changes.flatMap((each) => (each.kind === "vm" ? (each.after?.interfaces.flatMap(({ ips }) => ips) ?? []) : []));

beforeEach(() => {
  committed = new CommittedInventory();
  inventory = committed.fork();
  receipts = new Receipts([], { ageMs: 1_000, count: 2 });
  stored = new Map();
  nowMs = 0;
  const deps = { store: { readReceipt: async (key: string) => stored.get(key) }, now: () => new Date(nowMs) };
  pending = new Pending(deps, inventory, new AddressPools(inventory), receipts);
  batch = emptyBatch(7);
});

describe("a decision", () => {
  test("joins the batch with the next revision, its time and who asked; later ones build on it", () => {
    nowMs = 1_000;
    decide(furnished);
    nowMs = 2_000;
    expect(ipsOf(decide([vm("v1")]).touched)).toEqual(["10.0.0.2"]);
    expect(ipsOf(decide([vm("v2")]).touched)).toEqual(["10.0.0.3"]);
    expect(batch.commits.map(({ revision, time, changes }) => [revision, time, changes.length])).toEqual([
      [8, "1970-01-01T00:00:01.000Z", 3],
      [9, "1970-01-01T00:00:02.000Z", 1],
      [10, "1970-01-01T00:00:02.000Z", 1],
    ]);
    expect(batch.commits.map((commit) => commit.by)).toEqual([by, by, by]);
    expect(batch.ended).toEqual([[], [], []]);
    expect(batch.receipts).toEqual([]);
  });

  test("that changes nothing joins no commit, and names what stands", () => {
    decide(furnished);
    const { touched } = decide([network("blue", 100)]);
    expect(touched).toMatchObject([{ kind: "network", after: { name: "blue", revision: 8 } }]);
    expect([batch.commits.length, batch.ended.length]).toEqual([1, 1]);
  });

  test("of a dry run says what would be, and leaves everything as it is", () => {
    decide(furnished);
    const dry = pending.decide(by, { mutations: [vm("v1")], dryRun: true }, batch) as Outcome;
    expect([dry.dryRun, ipsOf(dry.touched)]).toEqual([true, ["10.0.0.2"]]);
    expect(batch.commits).toHaveLength(1);
    expect(inventory.findVm("v1")).toBeUndefined();
    const { touched } = decide([vm("v2")]);
    expect(ipsOf(touched)).toEqual(["10.0.0.2"]);
    expect("dryRun" in decide([vm("v2")])).toBe(false);
  });

  test("gives every resource a uid and every interface a MAC of its own", () => {
    decide(furnished);
    decide([vm("v1"), vm("v2")]);
    const vms = inventory.listVms();
    expect(new Set(vms.map(({ uid }) => uid)).size).toBe(2);
    const macs = vms.flatMap(({ interfaces }) => interfaces.map(({ mac }) => mac));
    expect(new Set(macs).size).toBe(2);
    // Locally administered, and of one interface.
    for (const mac of macs) expect(mac).toMatch(/^.[26ae]:/);
  });

  test("keeps to the networks, hosts and quota of who asks", () => {
    decide(furnished);
    const tenant: Actor = { ...by, scope: new Set(["blue"]) };
    expect(() => decide([network("red", 200)], tenant)).toThrow('no network is named "red"');
    expect(() => decide([vm("v1", "b")], { ...tenant, hosts: new Set(["a"]) })).toThrow('"b"');
    decide([vm("v1", "a")], { ...tenant, hosts: new Set(["a"]) });
    expect(() => decide([vm("v2")], { ...tenant, quota: { vms: 1 } })).toThrow("quota is 1");
    decide([vm("v2")], { ...tenant, quota: { vms: 2 } });
  });
});

describe("an address that a VM gives up", () => {
  test("is in quarantine from the time of the decision on", () => {
    decide([...furnished, vm("v1")]);
    nowMs = 10_000;
    decide([{ kind: "vm.delete", name: "v1" }]);
    nowMs = 10_000 + 299_999;
    expect(ipsOf(decide([vm("v2")]).touched)).toEqual(["10.0.0.3"]);
    nowMs += 1;
    expect(ipsOf(decide([vm("v3")]).touched)).toEqual(["10.0.0.2"]);
  });

  test("and that an operator gives to another before is named in the batch, so that undoing it restores the quarantine", () => {
    decide([...furnished, vm("v1")]);
    nowMs = 10_000;
    decide([{ kind: "vm.delete", name: "v1" }]);
    const interfaces = [{ network: "blue", ips: ["10.0.0.2"] }];
    batch = emptyBatch(9);
    decide([{ kind: "vm.put", spec: parseVm("v2", { host: "a", interfaces }) }]);
    expect(batch.ended).toEqual([[{ network: "blue", ip: "10.0.0.2", atMs: 10_000 }]]);
    pending.undo(batch);
    batch = emptyBatch(9);
    expect(ipsOf(decide([vm("v3")]).touched)).toEqual(["10.0.0.3"]);
  });
});

describe("a batch that is not stored", () => {
  test("is undone from its end on: changes, and the addresses that were assigned", () => {
    decide(furnished);
    batch = emptyBatch(8);
    decide([vm("v1")]);
    decide([vm("v2")]);
    decide([{ kind: "vm.delete", name: "v1" }]);
    pending.undo(batch);
    expect(inventory.listVms()).toEqual([]);
    batch = emptyBatch(8);
    expect(ipsOf(decide([vm("v3")]).touched)).toEqual(["10.0.0.2"]);
  });

  test("keeps the receipts that the store was to forget, before later ones", () => {
    for (const n of [1, 2, 3]) receipts.add({ key: `token a ${n}`, fingerprint: "f", atMs: 0 });
    const keys = pending.takeForgottenReceipts();
    expect(keys).toEqual(["token a 1"]);
    expect(pending.takeForgottenReceipts()).toEqual([]);
    receipts.add({ key: "token a 4", fingerprint: "f", atMs: 0 });
    pending.keepForgottenReceipts(keys);
    expect(pending.takeForgottenReceipts()).toEqual(["token a 1", "token a 2"]);
  });
});

describe("a change set", () => {
  const decideAll = async (mutations: readonly Mutation[]) =>
    (await pending.decideAll(by, changeSetOf(mutations), inventory, parseRevision(9))).changes;

  test("is decided against what is pending, and changes nothing by that", async () => {
    decide(furnished);
    const changes = [...(await decideAll([vm("v1"), vm("v2")]))];
    expect(ipsOf(changes)).toEqual(["10.0.0.2", "10.0.0.3"]);
    expect(changes.map(({ after }) => after?.revision)).toEqual([9, 9]);
    expect(inventory.listVms()).toEqual([]);
  });

  test("is refused with all its faults, each with its mutation", async () => {
    decide(furnished);
    const wrong = [vm("v1", "nowhere"), vm("v2"), vm("v3", "nowhere")];
    const refused = await decideAll(wrong).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ChangeSetRefused);
    expect((refused as ChangeSetRefused).refusals.map(({ mutation }) => mutation)).toEqual([0, 2]);
  });

  test("is refused as soon as it has more faults than anybody reads", async () => {
    decide(furnished);
    const wrong = Array.from({ length: maxRefusals + 1 }, (_, i) => vm(`v${i}`, "nowhere"));
    const refused = await decideAll(wrong).catch((error: unknown) => error);
    expect((refused as ChangeSetRefused).refusals).toHaveLength(maxRefusals);
  });

  test("that is stored arrives in steps, is shown at once, and its addresses are taken then", async () => {
    decide(furnished);
    committed.apply(batch.commits.flatMap(({ changes }) => changes));
    const changes = await decideAll([vm("v1"), vm("v2")]);
    for (const _ of committed.arriveSteps(changes)) {
      expect(committed.listVms()).toEqual([]);
      expect(committed.vmsOn("a").size).toBe(0);
    }
    atOnce(pending.followSteps(changes));
    expect(() => atOnce(committed.arriveSteps(changes))).toThrow("the change set before is not shown yet");
    committed.show();
    expect(committed.listVms()).toEqual(Array.from(changes, ({ after }) => after));
    expect([committed.layer, inventory.layer]).toEqual([undefined, undefined]);
    expect(ipsOf(decide([vm("v3")]).touched)).toEqual(["10.0.0.4"]);
    expect([committed.findVm("v3"), inventory.findVm("v3") !== undefined]).toEqual([undefined, true]);
  });

  test("releases addresses before it takes any", async () => {
    const at = (name: string, ip: string): Mutation => ({
      kind: "vm.put",
      spec: parseVm(name, { host: "a", interfaces: [{ network: "blue", ips: [ip] }] }),
    });
    decide([...furnished, at("v1", "10.0.0.2"), at("v2", "10.0.0.3")]);
    committed.apply(batch.commits.flatMap(({ changes }) => changes));
    const swapped = [at("v1", "10.0.0.3"), at("v2", "10.0.0.2")];
    const changes = await decideAll(swapped);
    atOnce(committed.arriveSteps(changes));
    atOnce(pending.followSteps(changes));
    committed.show();
    expect(committed.listVms().flatMap(({ interfaces }) => interfaces.flatMap(({ ips }) => ips))).toEqual([
      "10.0.0.3",
      "10.0.0.2",
    ]);
    expect(ipsOf(decide([vm("v3")]).touched)).toEqual(["10.0.0.4"]);
  });
});

describe("a change set that arrives beside other decisions", () => {
  const furnish = async (...more: Mutation[]) => {
    decide([...furnished, ...more]);
    committed.apply(batch.commits.flatMap(({ changes }) => changes));
    batch = emptyBatch(8);
  };
  const at = (name: string, ip: string): Mutation => ({
    kind: "vm.put",
    spec: parseVm(name, { host: "a", interfaces: [{ network: "blue", ips: [ip] }] }),
  });
  const arrive = async (mutations: readonly Mutation[]) => {
    const { changes } = await pending.decideAll(by, changeSetOf(mutations), inventory, parseRevision(9));
    const arrival = new Arrival(changes, () => false, { shown: committed, pending, slices: undefined });
    await arrival.whole;
    return arrival;
  };
  const show = async (arrival: Arrival) => {
    await arrival.settle(parseRevision(12));
    committed.show();
  };

  test("has its addresses from then on: others are assigned the next ones", async () => {
    await furnish(vm("v0"));
    const arrival = await arrive([at("v1", "10.0.0.3")]);
    expect(ipsOf(decide([vm("v2")]).touched)).toEqual(["10.0.0.4"]);
    pending.undo(batch);
    await show(arrival);
    expect(committed.findVm("v1")?.revision).toBe(12);
    batch = emptyBatch(12);
    expect(ipsOf(decide([vm("v2")]).touched)).toEqual(["10.0.0.4"]);
  });

  test("gives them back where it is taken back, and restores a quarantine", async () => {
    await furnish(vm("v0"), vm("v1"));
    nowMs = 10_000;
    committed.apply(decide([{ kind: "vm.delete", name: "v1" }]).touched);
    batch = emptyBatch(9);
    const arrival = await arrive([at("v3", "10.0.0.3"), at("v4", "10.0.0.4")]);
    await arrival.leave();
    expect([arrival.isGone, committed.findVm("v3"), committed.layer]).toEqual([true, undefined, undefined]);
    expect(ipsOf(decide([vm("v5")]).touched)).toEqual(["10.0.0.4"]);
  });

  test("takes what was free before the first address of its subnet was requested", async () => {
    await furnish();
    const arrival = await arrive([at("v1", "10.0.0.2")]);
    const dry = pending.decide(by, { mutations: [vm("v2")], dryRun: true }, batch) as Outcome;
    expect(ipsOf(dry.touched)).toEqual(["10.0.0.2"]);
    await show(arrival);
    batch = emptyBatch(12);
    expect(ipsOf(decide([vm("v2")]).touched)).toEqual(["10.0.0.3"]);
  });

  test("hands an address on without a release of it, and releases what nothing takes", async () => {
    await furnish(vm("v1"), vm("v2"));
    const arrival = await arrive([at("v1", "10.0.0.3"), at("v2", "10.0.0.4")]);
    nowMs = 10_000;
    await show(arrival);
    nowMs = 10_000 + 299_999;
    batch = emptyBatch(12);
    expect(ipsOf(decide([vm("v3")]).touched)).toEqual(["10.0.0.5"]);
    nowMs += 1;
    expect(ipsOf(decide([vm("v4")]).touched)).toEqual(["10.0.0.2"]);
  });

  test("leaves decisions alone: one that is withdrawn leaves nothing behind", async () => {
    await furnish();
    const order = { mutations: [vm("v1")], receipt: request };
    decide([vm("v0")]);
    void pending.decide(by, order, batch);
    pending.withdraw(batch, 0);
    expect([batch.commits.length, batch.ended.length, batch.receipts]).toEqual([1, 1, []]);
    expect(ipsOf((pending.decide(by, order, batch) as Outcome).touched)).toEqual(["10.0.0.3"]);
  });
});

describe("a request with an idempotency key", () => {
  const put = (fingerprint = "f") => {
    const order = { mutations: [network("blue", 100)], receipt: { ...request, fingerprint } };
    return pending.decide(by, order, batch);
  };

  test("leaves its outcome and the time in the batch", () => {
    nowMs = 500;
    const { touched } = put() as Outcome;
    expect(batch.receipts).toEqual([
      { ...request, atMs: 500, outcome: JSON.stringify({ touched }), decided: { touched } },
    ]);
  });

  test("that is sent again in the same batch is carried out once", () => {
    const first = put() as Outcome;
    expect(put()).toEqual({ touched: first.touched, replayed: true });
    expect([batch.commits.length, batch.receipts.length]).toEqual([1, 1]);
  });

  test("is distinguished from others in the batch by its key", () => {
    void put();
    const other = { mutations: [network("red", 200)], receipt: { key: "token a 2", fingerprint: "g" } };
    expect((pending.decide(by, other, batch) as Outcome).replayed).toBeUndefined();
    expect([batch.commits.length, batch.receipts.length]).toEqual([2, 2]);
  });

  test("that is sent again later gets the stored outcome", async () => {
    const { touched } = put() as Outcome;
    pending.keepReceipts(batch);
    for (const { key, outcome } of batch.receipts) stored.set(key, outcome);
    batch = emptyBatch(8);
    expect(await put()).toEqual({ ...JSON.parse(JSON.stringify({ touched })), replayed: true });
    expect(batch).toEqual(emptyBatch(8));
  });

  test("that is sent again long after is a new one", () => {
    void put();
    pending.keepReceipts(batch);
    batch = emptyBatch(8);
    nowMs = 1_001;
    expect((put() as Outcome).replayed).toBeUndefined();
    expect(batch.receipts).toHaveLength(1);
  });

  test("that is another request is refused: in the same batch, and later", () => {
    void put();
    expect(() => put("g")).toThrow(
      "the Idempotency-Key was used for another request: take a new key for a new request",
    );
    pending.keepReceipts(batch);
    batch = emptyBatch(8);
    expect(() => put("g")).toThrow(expect.objectContaining({ type: "idempotency-key-reused" }));
  });

  test("is known by what the store has, once that was read again", async () => {
    decide(furnished);
    pending.reloadReceipts([{ ...request, atMs: nowMs }]);
    stored.set(request.key, JSON.stringify({ touched: [] }));
    const outcome = pending.decide(by, { mutations: [vm("v1")], receipt: request }, batch);
    expect(await outcome).toEqual({ touched: [], replayed: true });
  });

  test("whose outcome is not in the store fails, also without a waiting client", async () => {
    void put();
    pending.keepReceipts(batch);
    batch = emptyBatch(8);
    await expect(put()).rejects.toThrow("the receipt of token a 1 is gone");
    void put();
    await new Promise((resolve) => setImmediate(resolve));
  });

  test("and a dry run, which the API refuses together, leave no receipt", () => {
    void pending.decide(by, { mutations: [network("blue", 100)], dryRun: true, receipt: request }, batch);
    expect(batch).toEqual(emptyBatch(7));
  });
});
