// What every implementation of `Tables` keeps: the kernel's, and the fake that stands for it elsewhere.
import fc from "fast-check";
import { beforeEach, expect, test } from "vitest";
import { type Entry, entryKey, type Operation, type Tables, type TunnelEntry } from "../../node-agent/tables/entry.ts";
import { byKey, plan } from "../../node-agent/tables/plan.ts";
import { ip, mac, someEntries, vni, vtep } from "../support/addresses.ts";

const network = vni(100);
const guest = mac("52:54:00:00:00:01");
const neighbour: Entry = { kind: "neighbour", vni: network, ip: ip("10.20.1.1"), mac: guest };
const neighbour6: Entry = { kind: "neighbour", vni: network, ip: ip("fd00:20::1"), mac: guest };
const tunnel: TunnelEntry = { kind: "tunnel", vni: network, mac: guest, vtep: vtep("192.0.2.1"), vtepPort: 4789 };
const bridge: Entry = { kind: "bridge", vni: network, mac: guest };

const put = (entry: Entry): Operation => ({ verb: "put", entry });
const del = (entry: Entry): Operation => ({ verb: "delete", entry });
const sorted = (entries: readonly Entry[]): Entry[] =>
  [...entries].sort((a, b) => entryKey(a).localeCompare(entryKey(b)));

export interface TablesContract {
  /** Tables with a device for VNI 100 and none for VNI 999. */
  readonly tables: () => Tables;
  /** Generated cases for each property. */
  readonly runs: number;
}

/** Declares the suite's tests in the calling file. */
export function describeTables({ tables, runs }: TablesContract): void {
  const present = async (): Promise<Entry[]> => sorted(await tables().list(network));
  const clear = async (): Promise<void> => void (await tables().apply((await present()).map(del)));

  beforeEach(clear);

  async function expectAll(operations: readonly Operation[]): Promise<void> {
    expect(await tables().apply(operations)).toEqual(operations.map((operation) => ({ operation, ok: true })));
  }

  test("every kind of entry that was put is listed as it was put", async () => {
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

  test("a put changes the router flag only where it names what it replaces", async () => {
    const router: TunnelEntry = { ...tunnel, router: true };
    await expectAll([put(tunnel), put(router)]);
    expect(await present()).toEqual([tunnel]);
    await expectAll([{ verb: "put", entry: router, replaces: tunnel }]);
    expect(await present()).toEqual([router]);
    await expectAll([{ verb: "put", entry: tunnel, replaces: router }]);
    expect(await present()).toEqual([tunnel]);
  });

  test("deleting what is absent succeeds", async () => {
    await expectAll([neighbour, neighbour6, tunnel, bridge].map(del));
  });

  test("deleting a tunnel entry with another VTEP than the stored one succeeds and deletes nothing", async () => {
    await expectAll([put(tunnel), del({ ...tunnel, vtep: vtep("192.0.2.9") })]);
    expect(await present()).toEqual([tunnel]);
  });

  test("without a device a put is refused with a reason, a delete succeeds, and neighbours in the call are untouched", async () => {
    const nowhere: TunnelEntry = { ...tunnel, vni: vni(999) };
    const results = await tables().apply([put(nowhere), del(nowhere), put(tunnel)]);
    expect(results.map((result) => result.ok)).toEqual([false, true, true]);
    expect(results[0]).toMatchObject({ reason: expect.stringMatching(/device/) });
    expect(await present()).toEqual([tunnel]);
    expect(await tables().list(vni(999))).toEqual([]);
  });

  test("from any start the plan reaches what is desired, and then plans nothing", async () => {
    await fc.assert(
      fc.asyncProperty(someEntries(100), someEntries(100), async (start, desired) => {
        await clear();
        await expectAll([...byKey(start).values()].map(put));
        const operations = plan(byKey(desired), byKey(await tables().list(network)));
        await expectAll(operations);
        expect(plan(byKey(desired), byKey(await tables().list(network)))).toEqual([]);
        // Replayed, as after a lost acknowledgement: it comes to the same.
        await expectAll(operations);
        expect(await present()).toEqual(sorted([...byKey(desired).values()]));
      }),
      { numRuns: runs },
    );
  });
}
