// Files of records: what was written is read, and what is damaged, planted or half written is not.
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { maxRecordBytes, RecordFile, readRecords } from "../../common/record-file.ts";
import { runs } from "../support/property-runs.ts";

function temporaryPath(): string {
  const directory = mkdtempSync(join(tmpdir(), "nearmiss-test-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return join(directory, "file");
}

const bytes = (...texts: string[]) => texts.map((text) => Buffer.from(text));

async function read(path: string) {
  const found: string[] = [];
  const end = await readRecords(path, (payload) => void found.push(payload.toString()));
  return { found, end };
}

async function written(...texts: string[]): Promise<string> {
  const path = temporaryPath();
  await new RecordFile(path).replace(bytes(...texts));
  return path;
}

describe("a file of records", () => {
  test("has what was written and appended, is its owner's alone, and is replaced as a whole", async () => {
    const path = temporaryPath();
    const file = new RecordFile(path);
    expect(await read(path)).toEqual({ found: [], end: "absent" });
    await expect(file.append(bytes("x"))).rejects.toThrow(RangeError);
    await file.replace(bytes("one", "two"));
    await file.append(bytes("three"));
    await file.append(bytes("four"));
    expect(await read(path)).toEqual({ found: ["one", "two", "three", "four"], end: "whole" });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await file.replace(bytes("five"));
    expect(await read(path)).toEqual({ found: ["five"], end: "whole" });
    await file.remove();
    expect(existsSync(path)).toBe(false);
  });

  test("says when it is to be replaced: after as many bytes as it began with, and after a failure", async () => {
    const path = temporaryPath();
    const file = new RecordFile(path);
    expect(file.canAppend(1_000)).toBe(false);
    await file.replace(bytes("x".repeat(100)));
    expect([file.canAppend(10), file.canAppend(1_000)]).toEqual([true, true]);
    await file.append(bytes("x".repeat(200)));
    expect([file.canAppend(10), file.canAppend(1_000)]).toEqual([false, true]);
    rmSync(path);
    await expect(file.append(bytes("x"))).rejects.toThrow("ENOENT");
    expect(file.canAppend(1_000)).toBe(false);
  });

  test("has records up to a MiB, over many pieces", async () => {
    const path = temporaryPath();
    const large = ["a".repeat(maxRecordBytes), "b", "c".repeat(300_000), "d".repeat(maxRecordBytes)];
    await new RecordFile(path, 2 ** 30).replace(bytes(...large));
    expect((await read(path)).found.map((text) => [text[0], text.length])).toEqual(large.map((t) => [t[0], t.length]));
    await expect(new RecordFile(path).replace([Buffer.alloc(maxRecordBytes + 1)])).rejects.toThrow(RangeError);
    expect((await read(path)).found).toHaveLength(4);
    expect(existsSync(`${path}.new`)).toBe(false);
  });

  test("that was not written to its end has the whole records before, or nothing of them is taken as another", async () => {
    const path = await written("one", "two", "three");
    const whole = readFileSync(path);
    for (let length = 0; length < whole.length; length++) {
      writeFileSync(path, whole.subarray(0, length));
      if (length < 16) await expect(read(path)).rejects.toThrow("it is not a file of records");
      else {
        const { found, end } = await read(path);
        expect(["one", "two", "three"].slice(0, found.length)).toEqual(found);
        expect(found.length).toBeLessThan(3);
        expect(end).toBe(length === 16 || [11, 22].includes(length - 16) ? "whole" : "torn");
      }
    }
    writeFileSync(path, Buffer.concat([whole, Buffer.alloc(5_000)]));
    expect(await read(path)).toEqual({ found: ["one", "two", "three"], end: "torn" });
  });

  test("in which a byte is wrong is refused, or ends before that byte", async () => {
    const path = await written("one", "two", "three");
    const whole = readFileSync(path);
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const damaged = Buffer.from(whole);
        damaged[at] = (damaged[at] ?? 0) ^ flip;
        writeFileSync(path, damaged);
        const { found } = await read(path).catch((error: Error) => {
          expect(error.name).toBe("RecordFileError");
          return { found: [] };
        });
        expect(["one", "two", "three"].slice(0, found.length)).toEqual(found);
        expect(found.length).toBeLessThan(3);
      }),
      { numRuns: runs(300) },
    );
  });

  test("that others can read or write, that is a link or a directory is not read, and is replaced", async () => {
    const path = await written("one");
    for (const mode of [0o640, 0o604, 0o620, 0o666]) {
      chmodSync(path, mode);
      await expect(read(path)).rejects.toThrow(`mode ${mode.toString(8)} instead of 600`);
    }
    rmSync(path);
    const victim = `${path}-victim`;
    writeFileSync(victim, "precious", { mode: 0o600 });
    symlinkSync(victim, path);
    symlinkSync(victim, `${path}.new`);
    await expect(read(path)).rejects.toThrow("it is a link");
    await new RecordFile(path).replace(bytes("two"));
    expect(await read(path)).toEqual({ found: ["two"], end: "whole" });
    expect(readFileSync(victim, "utf8")).toBe("precious");
    await expect(readRecords(join(path, ".."), () => {})).rejects.toThrow("it is not a file");
  });
});
