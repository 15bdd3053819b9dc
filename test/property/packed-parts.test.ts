// The parts that the rows of the inventory are made of, each against the plain thing that it stands for.
import fc from "fast-check";
import ipaddr from "ipaddr.js";
import { describe, expect, test } from "vitest";
import { HashIndex } from "../../controller/inventory/packed/hash-index.ts";
import { internedTexts } from "../../controller/inventory/packed/interned.ts";
import { SortedIds } from "../../controller/inventory/packed/sorted-ids.ts";
import { TextArena } from "../../controller/inventory/packed/text-arena.ts";
import { formatUuid, readUuid } from "../../controller/inventory/packed/uuid-words.ts";
import {
  findIp,
  findMac,
  type IpAddress,
  ipToWords,
  type MacAddress,
  macToWords,
  wordsToIp,
  wordsToMac,
} from "../../schema/address/index.ts";
import { runs } from "../support/property-runs.ts";

const found = <T>(value: T | undefined): value is T => value !== undefined;
/** Many zeros: they are what is written in a special way. */
const someByte = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 255 }));
const bytes = (length: number) => fc.array(someByte, { minLength: length, maxLength: length }).map(Buffer.from);
const ip = fc.oneof(bytes(4), bytes(16)).map(findIp).filter(found);
const mac = bytes(6).map(findMac).filter(found);

describe("words", () => {
  test("of an IP address are its bytes, and give its text back", () =>
    fc.assert(
      fc.property(ip, (text: IpAddress) => {
        const words = ipToWords(text);
        expect(wordsToIp(...words)).toBe(text);
        const parsed = ipaddr.parse(text);
        const long = parsed instanceof ipaddr.IPv4 ? parsed.toIPv4MappedAddress() : (parsed as ipaddr.IPv6);
        expect(Buffer.from(Int32Array.from(words, (word) => word | 0).buffer).swap32()).toEqual(
          Buffer.from(long.toByteArray()),
        );
      }),
      { numRuns: runs(2_000) },
    ));

  test("of a MAC address give its text back", () =>
    fc.assert(
      fc.property(mac, (text: MacAddress) => {
        expect(wordsToMac(...macToWords(text))).toBe(text);
      }),
      { numRuns: runs(500) },
    ));

  test("of a UUID give its text back; other texts have none", () =>
    fc.assert(
      fc.property(fc.uuid(), fc.string(), (uuid, other) => {
        const words: [number, number, number, number] = [0, 0, 0, 0];
        expect([readUuid(uuid, words), formatUuid(...words)]).toEqual([true, uuid]);
        expect(readUuid(other, words)).toBe(false);
        for (const wrong of [
          uuid.slice(1),
          `${uuid}0`,
          uuid.replace("-", "0"),
          `G${uuid.slice(1)}`,
          `${uuid.slice(1)}-`,
        ]) {
          expect(readUuid(wrong, words)).toBe(false);
        }
      }),
      { numRuns: runs(200) },
    ));
});

/** In turns: something is added, or one of what is there is deleted. */
const operations = <T>(item: fc.Arbitrary<T>, maxLength: number) =>
  fc.array(
    fc.oneof(
      item.map((add) => ({ add })),
      fc.nat().map((at) => ({ at })),
    ),
    { size: "max", maxLength },
  );
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 30 }),
  fc.constantFrom("", "eth0", "\ud800", "x".repeat(100), "é".repeat(60_000), "日".repeat(70_000)),
);

test("an arena gives back every text that was not deleted, and compares and hashes it as the text", () =>
  fc.assert(
    fc.property(operations(text, 60), (steps) => {
      const arena = new TextArena();
      const other = new TextArena();
      const kept: { text: string; start: number; length: number }[] = [];
      for (const step of steps) {
        if ("add" in step) kept.push({ text: step.add, ...arena.add(step.add) });
        else if (kept.length > 0) {
          const [gone] = kept.splice(step.at % kept.length, 1);
          if (gone) arena.delete(gone.start, gone.length);
        }
      }
      for (const { text, start, length } of kept) {
        expect(arena.get(start, length) === text).toBe(true);
        expect(arena.compare(start, length, text)).toBe(0);
        const [first] = kept;
        if (first)
          expect(Math.sign(arena.compare(start, length, first.text))).toBe(
            text < first.text ? -1 : text > first.text ? 1 : 0,
          );
        const again = other.add(text);
        expect(arena.hash(start, length)).toBe(other.hash(again.start, again.length));
      }
    }),
    { numRuns: runs(100) },
  ));

test("texts that come as bytes are those that come as text", () =>
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: "binary-ascii", maxLength: 30 }), { maxLength: 400, size: "max" }),
      (all) => {
        const joined = Buffer.from(all.join(""), "latin1");
        const arena = new TextArena();
        const texts = internedTexts();
        let from = 0;
        const places = all.map((text) => {
          const place = { start: arena.addBytes(joined, from, from + text.length), from, to: from + text.length };
          from = place.to;
          return place;
        });
        for (const [i, { start, from, to }] of places.entries()) {
          const text = all[i] ?? "";
          expect(arena.get(start, text.length)).toBe(text);
          expect(arena.equals(start, text.length, joined, from, to)).toBe(true);
          const other = places[(i * 7) % places.length];
          const otherText = all[(i * 7) % places.length];
          if (other) expect(arena.equals(start, text.length, joined, other.from, other.to)).toBe(text === otherText);
          expect(arena.equals(start, text.length, joined, from, to + 1)).toBe(false);
          const near = Buffer.from(`${text.slice(0, -1)}\xff`, "latin1");
          expect(arena.equals(start, text.length, near, 0, text.length)).toBe(text === "");
          const id = texts.retainBytes(joined, from, to);
          if (text === "") expect(id).toBe(-1);
          else expect([texts.get(id), texts.find(text), texts.retain(text)]).toEqual([text, id, id]);
        }
        for (const [i, { from, to }] of places.entries()) {
          if (from === to) continue;
          const id = texts.retainBytes(joined, from, to);
          texts.release(id);
          texts.release(id);
          texts.release(id);
          expect(texts.find(all[i] ?? "")).toBe(all.slice(i + 1).includes(all[i] ?? "") ? id : -1);
        }
      },
    ),
    { numRuns: runs(50) },
  ));

test("interned texts are there once, as long as they have a user", () =>
  fc.assert(
    fc.property(operations(text, 60), (steps) => {
      const texts = internedTexts();
      const used: { text: string; id: number }[] = [];
      for (const step of steps) {
        if ("add" in step) used.push({ text: step.add, id: texts.retain(step.add) });
        else if (used.length > 0) {
          const [gone] = used.splice(step.at % used.length, 1);
          texts.release(gone?.id ?? -1);
          if (gone && !used.some((each) => each.text === gone.text)) expect(texts.find(gone.text)).toBe(-1);
        }
        for (const { text, id } of used) expect([texts.find(text), texts.get(id) === text]).toEqual([id, true]);
      }
      expect(texts.get(-1)).toBeUndefined();
    }),
    { numRuns: runs(50) },
  ));

test("a hash index finds each id by its hash, also among many of one hash", () =>
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer(), fc.boolean()), { minLength: 100, maxLength: 8_000, size: "max" }),
      fc.boolean(),
      (items, isCollected) => {
        // A few hashes have many ids.
        const hashes = items.map(([hash, isCommon]) => (isCommon ? hash % 5 : hash) | 0);
        const index = new HashIndex();
        if (isCollected) index.collect();
        const has = (id: number) => {
          for (let each = index.first(hashes[id] ?? 0); each !== -1; each = index.next()) if (each === id) return true;
          return false;
        };
        for (const [id, hash] of hashes.entries()) index.add(hash, id);
        if (isCollected) index.build();
        expect(index.size).toBe(hashes.length);
        for (const [id, hash] of hashes.entries()) if (id % 3 === 0) index.delete(hash, id);
        for (const [id, hash] of hashes.entries()) if (id % 6 === 0) index.add(hash, id);
        for (const [id, hash] of hashes.entries()) if (id % 100 === 1) index.delete(hash, id + hashes.length);
        const wrong = hashes.flatMap((_, id) => (has(id) === (id % 3 !== 0 || id % 6 === 0) ? [] : [id]));
        expect(wrong).toEqual([]);
        const [left] = hashes;
        for (let id = index.first(left ?? 0), n = 0; id !== -1; id = index.next())
          expect(n++).toBeLessThan(hashes.length);
        expect(index.next()).toBe(-1);
        for (const [id, hash] of hashes.entries()) index.delete(hash, id);
        expect([index.size, index.first(left ?? 0)]).toEqual([0, -1]);
      },
    ),
    { numRuns: runs(10) },
  ));

test("a hash index that is built at once has the ids of hundreds of thousands of hashes, and grows on", () => {
  const hashOf = (id: number) => Math.imul(id + 1, 0x9e3779b1);
  for (const count of [0, 1, 5, 6, 700, 17_000, 200_000]) {
    const index = new HashIndex();
    index.collect();
    for (let id = 0; id < count; id++) index.add(hashOf(id), id);
    index.build();
    for (let id = count; id < count + 2_000; id++) index.add(hashOf(id), id);
    let wrong = 0;
    for (let id = 0; id < count + 2_000; id++) if (index.first(hashOf(id)) !== id || index.next() !== -1) wrong += 1;
    expect([wrong, index.size, index.first(hashOf(count + 2_000))]).toEqual([0, count + 2_000, -1]);
  }
});

test("a hash index that is built at once has the segments that its number needs, and counts what is in each", () => {
  const hashOf = (id: number) => Math.imul(id + 1, 0x9e3779b1);
  interface Layout {
    readonly mask: number;
    readonly depth: number;
    readonly blocks: readonly Int32Array[];
    readonly counts: readonly number[];
  }
  const layoutOf = (count: number, collected: boolean) => {
    const index = new HashIndex();
    if (collected) index.collect();
    for (let id = 0; id < count; id++) index.add(hashOf(id), id);
    if (collected) index.build();
    const { mask, depth, blocks, counts } = index as unknown as Layout;
    expect(counts.reduce((a, b) => a + b, 0)).toBe(count);
    return { slots: (mask + 1) / 2, depth, blocks: blocks.map(({ length }) => length) };
  };
  const whole = 1 << 16;
  expect([6, 7, 768, 769, 1_536, 1_537].map((count) => layoutOf(count, true))).toEqual([
    { slots: 8, depth: 0, blocks: [16] },
    { slots: 16, depth: 0, blocks: [32] },
    { slots: 1_024, depth: 0, blocks: [2_048] },
    { slots: 1_024, depth: 1, blocks: [4_096] },
    { slots: 1_024, depth: 1, blocks: [4_096] },
    { slots: 1_024, depth: 2, blocks: [8_192] },
  ]);
  expect(layoutOf(30_000, true)).toEqual({ slots: 1_024, depth: 6, blocks: [whole, whole] });
  expect(layoutOf(5_000, false).slots).toBe(1_024);
});

test("ids that come in order of their names are appended as if added, the last one once", () => {
  const nameOf = (id: number) => `n${String(id).padStart(5, "0")}`;
  const compare = (id: number, other: string) => (nameOf(id) < other ? -1 : nameOf(id) > other ? 1 : 0);
  for (const count of [1, 2, 511, 512, 513, 1_500]) {
    const sorted = new SortedIds({ nameOf, compare });
    for (let id = 0; id < count; id++) for (let i = 0; i < 2; i++) sorted.append(id);
    const expected = Array.from({ length: count }, (_, id) => nameOf(id));
    expect([sorted.size, [...sorted.from("")]]).toEqual([count, expected]);
    expect([sorted.add(count, nameOf(count)), sorted.delete(nameOf(0)), sorted.size]).toEqual([true, true, count]);
  }
});

test("sorted ids are in order of their names, whatever was added and deleted, and read on where they change", () => {
  const name = fc.integer({ min: 0, max: 4_000 }).map((n) => `n${n}`);
  return fc.assert(
    fc.property(
      fc.array(fc.tuple(name, fc.boolean()), { minLength: 200, maxLength: 4_000, size: "max" }),
      name,
      (steps, from) => {
        const names: string[] = [];
        const compare = (id: number, other: string) =>
          (names[id] ?? "") < other ? -1 : (names[id] ?? "") > other ? 1 : 0;
        const sorted = new SortedIds({ nameOf: (id) => names[id] ?? "", compare });
        const model = new Set<string>();
        for (const [each, isDeleted] of steps) {
          if (isDeleted) expect(sorted.delete(each)).toBe(model.delete(each));
          else {
            expect(sorted.add(names.push(each) - 1, each)).toBe(!model.has(each));
            model.add(each);
          }
        }
        const expected = [...model].filter((each) => each >= from).sort();
        expect([sorted.size, [...sorted.from(from)]]).toEqual([model.size, expected]);
        const read: string[] = [];
        // From the beginning: behind a late name nothing may be left that changes.
        for (const each of sorted.from("")) {
          read.push(each);
          if (read.length % 7 === 0) sorted.delete(each);
          if (read.length % 11 === 0) sorted.add(names.push("a") - 1, "a");
        }
        expect(read).toEqual([...model].sort());
        const left = [...sorted.from("")];
        const deleted: string[] = [];
        for (const each of sorted.from("")) if (sorted.delete(each)) deleted.push(each);
        expect([deleted, sorted.size]).toEqual([left, 0]);
      },
    ),
    { numRuns: runs(20) },
  );
});
