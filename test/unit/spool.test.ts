import { readdirSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Spool } from "../../controller/store/spool.ts";
import { temporaryDirectory } from "../support/controller-process.ts";
import { runs } from "../support/property-runs.ts";

const someRecord = fc.oneof(
  fc.string({ unit: "binary", maxLength: 2_000 }).map((text) => text.replaceAll("\n", " ")),
  fc.integer({ min: 0, max: 200_000 }).map((length) => "é".repeat(length)),
);

describe("records", () => {
  test("are read as they were written, in order and each by its place, in memory, in a file, or half in each", () => {
    const directory = temporaryDirectory();
    fc.assert(
      fc.property(
        fc.array(someRecord, { maxLength: 40 }),
        fc.constantFrom(0, 65_536, 200_000, 10_000_000),
        (records, memoryBytes) => {
          const spool = new Spool({ directory, memoryBytes });
          const places = records.map((record) => {
            const place = spool.append(record);
            expect(spool.read(place)).toBe(record);
            return place;
          });
          expect(places.map((place) => spool.read(place))).toEqual(records);
          expect([...spool]).toEqual(records);
          if (spool.file() !== undefined) expect(places.map((place) => spool.read(place))).toEqual(records);
          const text = records.map((record) => `${record}\n`).join("");
          expect(Buffer.concat([...spool.chunks()]).toString()).toBe(text);
          expect(spool.bytes).toBe(Buffer.byteLength(text));
          expect(readdirSync(directory)).toEqual([]);
          spool.close();
          expect([...spool]).toEqual([]);
        },
      ),
      { numRuns: runs(60) },
    );
  });

  test("cannot be kept in a directory that is not there", () => {
    const spool = new Spool({ directory: join(temporaryDirectory(), "none"), memoryBytes: 0 });
    expect(() => spool.append("x".repeat(100_000))).toThrow("ENOENT");
  });
});
