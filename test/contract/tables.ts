// The contract of every implementation of `Tables`: the kernel's, and the fake that replaces it elsewhere.
import fc from "fast-check";
import { beforeEach, expect, test } from "vitest";
import { atOnce } from "../../controller/inventory/steps.ts";
import { broadcastOperations, broadcastRewrites } from "../../node-agent/tables/broadcast.ts";
import { compare, type Desired, repairOf } from "../../node-agent/tables/comparison.ts";
import {
  type ActualEntry,
  type BroadcastEntry,
  broadcastMac,
  type Entry,
  entryKey,
  type Operation,
  type Tables,
  type TunnelEntry,
} from "../../node-agent/tables/entry.ts";
import { byKey } from "../../node-agent/tables/plan.ts";
import { ip, mac, someBroadcasts, someEntries, vni, vtep } from "../support/addresses.ts";

const network = vni(100);
const guest = mac("52:54:00:00:00:01");
const neighbour: Entry = { kind: "neighbour", vni: network, ip: ip("10.20.1.1"), mac: guest };
const neighbour6: Entry = { kind: "neighbour", vni: network, ip: ip("fd00:20::1"), mac: guest };
const tunnel: TunnelEntry = { kind: "tunnel", vni: network, mac: guest, vtep: vtep("192.0.2.1"), vtepPort: 4789 };
const bridge: Entry = { kind: "bridge", vni: network, mac: guest };

const broadcast = (last: number, vtepPort = 4789): BroadcastEntry => ({
  kind: "broadcast",
  vni: network,
  mac: broadcastMac,
  vtep: vtep(`192.0.2.${last}`),
  vtepPort,
});

const put = (entry: Entry): Operation => ({ verb: "put", entry });
const del = (entry: Entry): Operation => ({ verb: "delete", entry });
const sorted = (entries: readonly Entry[]): Entry[] =>
  [...entries].sort((a, b) => entryKey(a).localeCompare(entryKey(b)));

export interface TablesContract {
  /** Tables with a device for VNI 100 and none for VNI 999. */
  readonly tables: () => Tables;
  /** A foreign `ip neigh replace` and `bridge fdb replace`, for broadcasts `bridge fdb append`. */
  readonly foreign: (entry: Entry) => Promise<void>;
  /** Generated cases for each property. */
  readonly runs: number;
}

/** Declares the suite's tests in the calling file. */
export function describeTables({ tables, foreign, runs }: TablesContract): void {
  const own = (actual: readonly ActualEntry[]): Entry[] =>
    sorted(actual.filter((each) => each.own).map((each) => each.entry));
  const present = async (): Promise<Entry[]> => own(await tables().list(network));
  const planFor = async (desired: readonly Entry[]): Promise<Operation[]> => {
    const at = byKey(desired);
    const wanted: Desired = { entryAt: (place) => at.get(entryKey(place)), entries: () => at.values() };
    const differences = atOnce(compare(wanted, await tables().list(network)));
    return differences.flatMap((difference) => repairOf(difference, wanted) ?? []);
  };
  const clear = async (): Promise<void> => {
    const all = (await tables().list(network)).map(({ entry }) => entry);
    await tables().apply(all.filter((entry) => entry.mac.startsWith("52:54:00:")).map(del));
    await tables().apply([{ verb: "delete", entry: broadcast(1), whole: true }]);
  };

  beforeEach(clear);

  async function expectAll(operations: readonly Operation[]): Promise<void> {
    expect(await tables().apply(operations)).toEqual(operations.map((operation) => ({ operation, ok: true })));
  }

  test("every kind of entry is listed as it was put", async () => {
    const router: TunnelEntry = { ...tunnel, mac: mac("52:54:00:00:00:02"), vtepPort: 8472, router: true };
    const all = [neighbour, neighbour6, tunnel, bridge, router];
    await expectAll(all.map(put));
    expect(await present()).toEqual(sorted(all));
  });

  test("a put replaces: the neighbour's MAC, the tunnel's VTEP", async () => {
    await expectAll([neighbour, tunnel].map(put));
    const moved: TunnelEntry = { ...tunnel, vtep: vtep("192.0.2.9") };
    const rebuilt: Entry = { ...neighbour, mac: mac("52:54:00:00:00:02") };
    await expectAll([moved, rebuilt].map(put));
    expect(await present()).toEqual(sorted([moved, rebuilt]));
  });

  test("a put changes the router flag only where it creates the entry anew", async () => {
    const router: TunnelEntry = { ...tunnel, router: true };
    await expectAll([put(tunnel), put(router)]);
    expect(await present()).toEqual([tunnel]);
    await expectAll([{ verb: "put", entry: router, anew: true }]);
    expect(await present()).toEqual([router]);
    await expectAll([{ verb: "put", entry: tunnel, anew: true }]);
    expect(await present()).toEqual([tunnel]);
    // Also where it leads elsewhere by now.
    await expectAll([put({ ...router, vtep: vtep("192.0.2.9") }), { verb: "put", entry: router, anew: true }]);
    expect(await present()).toEqual([router]);
  });

  test("a foreign change strips our mark from a tunnel entry, and keeps it elsewhere; the plan restores all", async () => {
    const all = [neighbour, neighbour6, tunnel, bridge];
    await expectAll(all.map(put));
    const other = mac("52:54:00:00:00:02");
    await foreign({ ...neighbour, mac: other });
    await foreign({ ...tunnel, vtep: vtep("192.0.2.9") });
    await foreign(bridge);
    expect(await present()).toEqual(sorted([{ ...neighbour, mac: other }, neighbour6, bridge]));
    await expectAll(await planFor(all));
    expect(await present()).toEqual(sorted(all));
    expect(await planFor(all)).toEqual([]);
  });

  test("foreign entries in other places are left alone", async () => {
    const theirs: TunnelEntry = { ...tunnel, mac: mac("52:54:00:00:00:09") };
    await foreign(theirs);
    expect(await planFor([])).toEqual([]);
    await expectAll(await planFor([tunnel]));
    expect(await tables().list(network)).toContainEqual({ entry: theirs, own: false, lasting: true });
  });

  test("the broadcast address has several destinations: each is put, put again and deleted by itself", async () => {
    const [one, two, other] = [broadcast(1), broadcast(2), broadcast(1, 8472)];
    await expectAll([one, two, other, two].map(put));
    expect(await present()).toEqual(sorted([one, two, other]));
    await expectAll([del(one), del(one), del(broadcast(9))]);
    expect(await present()).toEqual(sorted([two, other]));
    expect((await tables().idleMs(network)).size).toBe(0);
    await expectAll([{ verb: "delete", entry: one, whole: true }]);
    expect(
      await tables()
        .list(network)
        .then((all) => all.filter(({ entry }) => entry.kind === "broadcast")),
    ).toEqual([]);
  });

  test("a foreign destination of broadcasts strips our mark from all of them, and puts do not give it back", async () => {
    const [one, two, theirs] = [broadcast(1), broadcast(2), broadcast(9)];
    await expectAll([one, two].map(put));
    await foreign(theirs);
    await expectAll([put(one)]);
    const listed = async () => (await tables().list(network)).filter(({ entry }) => entry.kind === "broadcast");
    expect(await present()).toEqual([]);
    expect(sorted((await listed()).map(({ entry }) => entry))).toEqual(sorted([one, two, theirs]));
    const rewrites = broadcastRewrites(new Map([one, two].map((entry) => [entryKey(entry), entry])), await listed());
    expect([...rewrites.keys()]).toEqual([broadcastMac]);
    await expectAll([...rewrites.values()].flat());
    expect(await present()).toEqual(sorted([one, two]));
    expect(broadcastRewrites(new Map(), await listed()).size).toBe(0);
  });

  test("from any destinations of broadcasts to any others: what the operations leave is what is desired", async () => {
    const set = (entries: readonly BroadcastEntry[]) => new Map(entries.map((entry) => [entryKey(entry), entry]));
    await fc.assert(
      fc.asyncProperty(someBroadcasts(100), someBroadcasts(100), fc.boolean(), async (start, desired, isForeign) => {
        await clear();
        await expectAll([...set(start).values()].map(put));
        if (isForeign) await foreign(broadcast(77));
        const actual = await tables().list(network);
        const rewrite = [...broadcastRewrites(set(desired), actual).values()].flat();
        expect(rewrite.length > 0).toBe(isForeign);
        const operations = isForeign ? rewrite : broadcastOperations(set(start), set(desired));
        await expectAll(operations);
        await expectAll(operations);
        expect(await present()).toEqual(sorted([...set(desired).values()]));
      }),
      { numRuns: runs },
    );
  });

  test("each MAC with a tunnel entry has an age from its first entry on; neighbours and bridge entries have none", async () => {
    await expectAll([neighbour, { ...bridge, mac: mac("52:54:00:00:00:02") }].map((entry) => put(entry)));
    expect((await tables().idleMs(network)).size).toBe(0);
    await expectAll([tunnel, { ...tunnel, mac: mac("52:54:00:00:00:03") }].map(put));
    await expectAll([put({ ...tunnel, vtep: vtep("192.0.2.9") })]);
    const ages = await tables().idleMs(network);
    expect([...ages.keys()].sort()).toEqual([guest, "52:54:00:00:00:03"]);
    for (const age of ages.values()) expect(age >= 0 && age < 5_000).toBe(true);
    expect((await tables().idleMs(vni(999))).size).toBe(0);
  });

  test("a list shows what was written before it, even while writes are pending", async () => {
    const many = Array.from({ length: 1_000 }, (_, i) =>
      put({ kind: "neighbour", vni: network, mac: guest, ip: ip(`10.20.${2 + (i >> 8)}.${i & 255}`) }),
    );
    const written = tables().apply(many);
    const behind = tables().apply([put(tunnel)]);
    expect(await present()).toHaveLength(many.length + 1);
    await Promise.all([written, behind]);
  });

  test("a list includes everything that exists throughout, despite concurrent writes", async () => {
    const hex = (byte: number): string => byte.toString(16).padStart(2, "0");
    const thousand = (set: number): Entry[] =>
      Array.from({ length: 1_000 }, (_, n) => ({
        ...tunnel,
        mac: mac(`52:54:00:${hex(set)}:${hex(n >> 8)}:${hex(n & 255)}`),
      }));
    const [standing, leaving, coming] = [thousand(1), thousand(2), thousand(3)];
    await expectAll([...leaving, ...standing].map(put));
    let isUnderWay = true;
    const listed = present().finally(() => {
      isUnderWay = false;
    });
    for (let n = 0; n < 1_000 && isUnderWay; n += 20) {
      await tables().apply([...leaving.slice(n, n + 20).map(del), ...coming.slice(n, n + 20).map(put)]);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const listedOnce = (await listed).map(entryKey);
    const keys = new Set(listedOnce);
    expect(standing.filter((entry) => !keys.has(entryKey(entry)))).toEqual([]);
    expect(listedOnce).toHaveLength(keys.size);
  });

  test("deleting an absent entry succeeds", async () => {
    await expectAll([neighbour, neighbour6, tunnel, bridge].map(del));
  });

  test("deleting a tunnel entry with another VTEP than the stored one succeeds and deletes nothing", async () => {
    await expectAll([put(tunnel), del({ ...tunnel, vtep: vtep("192.0.2.9") })]);
    expect(await present()).toEqual([tunnel]);
  });

  test("without a device a put is refused with a reason, a delete succeeds, and neighbours in the same call are untouched", async () => {
    const nowhere: TunnelEntry = { ...tunnel, vni: vni(999) };
    const results = await tables().apply([put(nowhere), del(nowhere), put(tunnel)]);
    expect(results.map((result) => result.ok)).toEqual([false, true, true]);
    expect(results[0]).toMatchObject({ reason: expect.stringMatching(/device/) });
    expect(await present()).toEqual([tunnel]);
    expect(await tables().list(vni(999))).toEqual([]);
  });

  test("from any start, and with any foreign changes, the plan reaches the desired state, and then plans nothing", async () => {
    await fc.assert(
      fc.asyncProperty(someEntries(100), someEntries(100), someEntries(100), async (start, theirs, desired) => {
        await clear();
        await expectAll([...byKey(start).values()].map(put));
        for (const entry of theirs.slice(0, 2)) await foreign(entry);
        const operations = await planFor(desired);
        await expectAll(operations);
        expect(await planFor(desired)).toEqual([]);
        // Replayed, as after a lost acknowledgement: the result is the same.
        await expectAll(operations);
        expect(await present()).toEqual(sorted([...byKey(desired).values()]));
      }),
      { numRuns: runs },
    );
  });
}
