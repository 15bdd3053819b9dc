// Entries that the kernel refuses, before, during and after a comparison.
import { pino } from "pino";
import { expect, test } from "vitest";
import { EntryReconciler } from "../../node-agent/networks/entry-reconciler.ts";
import { EntryWriter } from "../../node-agent/networks/entry-writer.ts";
import type { OperationResult, Tables } from "../../node-agent/tables/entry.ts";
import { HeldAnswers } from "../../node-agent/tables/held.ts";
import type { Answer } from "../../schema/address/index.ts";
import { ip, mac, rev, vni, vtep } from "../support/addresses.ts";
import { FakeTables } from "../support/fake-tables.ts";
import { noBroadcasts } from "../support/no-broadcasts.ts";

const network = { name: "blue", vni: vni(100), mtu: 1450, revision: rev(1) };
const reason = "ENOBUFS, the kernel's table is full";

const answer = (n: number): Answer => ({
  key: { kind: "ip", vni: network.vni, ip: ip(`10.20.1.${n}`) },
  revision: rev(1),
  binding: { mac: mac(`52:54:00:00:00:0${n}`), host: "b", vtep: vtep("192.0.2.1"), vtepPort: 4789 },
});

/** @param concurrent happens once, in the first turn of others during a comparison */
function keeperOn(
  tables: FakeTables,
  concurrent: (host: { held: HeldAnswers; writer: EntryWriter }) => Promise<unknown>,
) {
  let isFull = false;
  const lines: string[] = [];
  const refusing: Tables = {
    list: (on) => tables.list(on),
    hiding: () => tables.hiding(),
    idleMs: (on) => tables.idleMs(on),
    apply: async (operations) =>
      isFull
        ? operations.map((operation): OperationResult => ({ operation, ok: false, reason, full: true }))
        : tables.apply(operations),
  };
  let waiting = [concurrent];
  const held = new HeldAnswers();
  const shared = {
    tables: refusing,
    held,
    broadcasts: noBroadcasts,
    reporter: { note: () => false },
    log: pino({ level: "warn" }, { write: (line: string) => void lines.push(line) }),
  };
  const device = { ifindex: 3, bridgeIfindex: 2, vni: network.vni, vtepPort: 4789 };
  const devices = { deviceOf: () => device };
  const writer = new EntryWriter({ ...shared, devices, announcer: undefined, nowMs: () => 0 });
  const keeper = new EntryReconciler({
    ...shared,
    writer,
    turns: {
      over: true,
      next: async () => {
        const [act] = waiting;
        waiting = [];
        await act?.({ held, writer });
      },
    },
  });
  const fill = (full: boolean): void => {
    isFull = full;
  };
  return { held, keeper, writer, lines, fill };
}

test("what is refused while a network is compared stays refused until the next comparison", async () => {
  const host = keeperOn(new FakeTables(new Set([network.vni])), async ({ held, writer }) => {
    const { operations } = held.take([answer(1)], 0);
    host.fill(true);
    await writer.write(operations);
    host.fill(false);
    // It is right again by chance: nothing has checked.
    await writer.write(operations);
  });
  host.held.take([answer(2)], 0);
  await host.keeper.settle(network, "timer");
  expect([...host.writer.refusals].map(([vni, refused]) => [vni, refused.reason])).toEqual([[network.vni, reason]]);
  await host.keeper.settle(network, "refused");
  expect([...host.writer.refusals]).toEqual([]);
});

test("a comparison in which everything is refused logs one line, and the next one corrects it", async () => {
  const tables = new FakeTables(new Set([network.vni]));
  const host = keeperOn(tables, async () => {});
  host.held.take([1, 2, 3].map(answer), 0);
  host.fill(true);
  await host.keeper.settle(network, "timer");
  expect([...host.writer.refusals].map(([vni, refused]) => [vni, refused.reason])).toEqual([[network.vni, reason]]);
  expect(host.lines.map((line) => JSON.parse(line).refused)).toEqual([9]);
  host.fill(false);
  await host.keeper.settle(network, "refused");
  expect([...host.writer.refusals]).toEqual([]);
  expect(await tables.list(network.vni)).toHaveLength(9);
});

test("an answer that changes while its network is compared is in the kernel as a whole before it is announced", async () => {
  const tables = new FakeTables(new Set([network.vni]));
  const kinds: string[][] = [];
  const host = keeperOn(tables, async ({ writer }) => {
    // It has moved: of its entries only that of its tunnel end changes.
    const moved = { ...answer(2), revision: rev(9) };
    await writer.take([{ ...moved, binding: moved.binding && { ...moved.binding, vtep: vtep("192.0.2.9") } }], "told")
      .programmed;
    kinds.push((await tables.list(network.vni)).map(({ entry }) => entry.kind).sort());
  });
  host.held.take([answer(2)], 0);
  host.writer.requestComparison(network.vni);
  await host.keeper.settle(network, "session");
  expect(kinds).toEqual([["bridge", "neighbour", "tunnel"]]);
});

test("a guest is not answered for a cached entry that was missed before its network's device was there", async () => {
  const tables = new FakeTables(new Set([network.vni]));
  const answered: string[] = [];
  let isThere = false;
  const device = { ifindex: 3, bridgeIfindex: 2, vni: network.vni, vtepPort: 4789 };
  const held = new HeldAnswers();
  held.take([answer(2)], 0);
  const writer = new EntryWriter({
    devices: { deviceOf: () => (isThere ? device : undefined) },
    tables: {
      apply: async (operations) => {
        // Made while the kernel writes.
        isThere = true;
        return tables.apply(operations);
      },
    },
    held,
    announcer: { announce: async () => {}, answer: async (_, known) => void answered.push(known.ip) },
    reporter: { note: () => false },
    log: pino({ level: "silent" }),
    nowMs: () => 0,
  });
  await writer.reassert([...held.desired(network.vni).values()]);
  expect([isThere, answered]).toEqual([true, []]);
  await writer.reassert([...held.desired(network.vni).values()]);
  expect(answered).toEqual(["10.20.1.2"]);
});
