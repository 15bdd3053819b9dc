// For any answers in any order: the operations that `take` returns bring the tables to the desired entries, and those
// follow from the newest answers.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Entry, entryKey } from "../../node-agent/tables/entry.ts";
import { HeldAnswers } from "../../node-agent/tables/held.ts";
import { byKey } from "../../node-agent/tables/plan.ts";
import { type Answer, type Binding, keyText } from "../../schema/address/index.ts";
import { ip, mac, rev, vni, vtep } from "../support/addresses.ts";
import { FakeTables } from "../support/fake-tables.ts";
import { runs } from "../support/property-runs.ts";
import { ownGuest, someAnswer } from "../support/some-answers.ts";

const network = vni(100);

const sorted = (entries: Iterable<Entry>): Entry[] =>
  [...entries].sort((a, b) => entryKey(a).localeCompare(entryKey(b)));

describe("cached answers", () => {
  test("the operations of every step keep the tables equal to the desired entries", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(someAnswer, { maxLength: 4 }), { maxLength: 12 }), async (batches) => {
        const held = new HeldAnswers();
        const tables = new FakeTables(new Set([network]));
        for (const batch of batches) {
          await tables.apply(held.take(batch, 0).operations);
          const actual = (await tables.list(network)).map(({ entry }) => entry);
          expect(sorted(actual)).toEqual(sorted(held.desired(network).values()));
        }
      }),
      { numRuns: runs(1_000) },
    );
  });

  test("no neighbour exists without the tunnel and the bridge entry of its MAC", () => {
    fc.assert(
      fc.property(fc.array(someAnswer, { maxLength: 40 }), (answers) => {
        const held = new HeldAnswers();
        held.take(answers, 0);
        const desired = held.desired(network);
        for (const entry of desired.values()) {
          if (entry.kind !== "neighbour") continue;
          expect(desired.has(entryKey({ kind: "bridge", vni: network, mac: entry.mac }))).toBe(true);
          expect(desired.has(`tunnel ${network} ${entry.mac}`)).toBe(true);
        }
      }),
      { numRuns: runs(1_000) },
    );
  });

  test("applied again, or followed by older ones, answers change nothing", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(someAnswer, { selector: (answer) => keyText(answer.key), maxLength: 10 }),
        (answers) => {
          const held = new HeldAnswers();
          held.take([ownGuest], 0);
          // As in one state of the inventory: one revision for one MAC, and none that is both there and not.
          const consistent = answers.filter(({ key, binding }, i) =>
            binding
              ? answers.findIndex((other) => other.binding?.mac === binding.mac) === i
              : key.kind === "ip" || !answers.some((other) => other.binding?.mac === key.mac),
          );
          held.take(consistent, 0);
          const before = sorted(held.desired(network).values());
          const older = consistent.map(
            (answer): Answer => ({ ...answer, revision: rev(answer.revision - 1), binding: null }),
          );
          expect(held.take(older, 0).operations).toEqual([]);
          expect(held.take(consistent, 0).operations).toEqual([]);
          expect(sorted(held.desired(network).values())).toEqual(before);
        },
      ),
      { numRuns: runs(1_000) },
    );
  });

  test("an IP that returns with another MAC is distinguished from one that returns unchanged, also after a deletion", () => {
    const at = (n: number, revision: number): Answer => ({
      key: { kind: "ip", vni: network, ip: ip("10.20.1.1") },
      revision: rev(revision),
      binding:
        n === 0 ? null : { mac: mac(`52:54:00:00:00:0${n}`), host: "b", vtep: vtep("192.0.2.2"), vtepPort: 4789 },
    });
    const held = new HeldAnswers();
    const changed = (answer: Answer) => held.take([answer], 0).changedMacs.map((each) => each.mac);
    expect(changed(at(1, 1))).toEqual([]);
    expect(changed(at(1, 2))).toEqual([]);
    expect(changed(at(2, 3))).toEqual(["52:54:00:00:00:02"]);
    expect(changed(at(1, 2))).toEqual([]);
    expect(changed(at(0, 4))).toEqual([]);
    expect(changed(at(2, 5))).toEqual([]);
    expect(changed(at(0, 6))).toEqual([]);
    expect(changed(at(3, 7))).toEqual(["52:54:00:00:00:03"]);
  });

  test("and if the MAC was deleted before it, as in a push of a deleted VM", () => {
    const binding: Binding = { mac: mac("52:54:00:00:00:01"), host: "b", vtep: vtep("192.0.2.2"), vtepPort: 4789 };
    const ofMac: Answer = { key: { kind: "mac", vni: network, mac: binding.mac }, revision: rev(2), binding: null };
    const ofIp = (revision: number, to: Binding | null): Answer => ({
      key: { kind: "ip", vni: network, ip: ip("10.20.1.1") },
      revision: rev(revision),
      binding: to,
    });
    const held = new HeldAnswers();
    held.take([ofIp(1, binding)], 0);
    held.take([ofMac, ofIp(2, null)], 0);
    const again = { ...binding, mac: mac("52:54:00:00:00:02") };
    expect(held.take([ofIp(3, again)], 0).changedMacs.map((each) => each.mac)).toEqual([again.mac]);
    expect(held.take([ofIp(4, again)], 0).changedMacs).toEqual([]);
  });

  test("a tunnel entry that several IPs share is deleted with the last of them", () => {
    const held = new HeldAnswers();
    const binding: Binding = { mac: mac("52:54:00:00:00:01"), host: "b", vtep: vtep("192.0.2.2"), vtepPort: 4789 };
    const to = (address: string, revision: number, gone = false): Answer => ({
      key: { kind: "ip", vni: network, ip: ip(address) },
      revision: rev(revision),
      binding: gone ? null : binding,
    });
    held.take([to("10.20.1.1", 1), to("fd00:20::1", 1)], 0);
    expect(
      held.take([to("10.20.1.1", 2, true)], 0).operations.map(({ verb, entry }) => `${verb} ${entry.kind}`),
    ).toEqual(["delete neighbour"]);
    expect(
      held.take([to("fd00:20::1", 3, true)], 0).operations.map(({ verb, entry }) => `${verb} ${entry.kind}`),
    ).toEqual(["delete neighbour", "delete bridge", "delete tunnel"]);
    expect(held.desired(network)).toEqual(byKey([]));
  });
});
