import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { type EndingCertificate, OwnConditions, slowSeconds } from "../../controller/observe/own-conditions.ts";
import { endsSoon } from "../../controller/pki/ending.ts";
import { noteBackup, readLastBackup } from "../../controller/store/last-backup.ts";

function disk() {
  const lines: string[] = [];
  const say = (fields: unknown, text?: string) =>
    void lines.push(`${text} ${(fields as { condition: string }).condition}`);
  const log = { warn: say, info: say } as never;
  const own = new OwnConditions({ directory: undefined, log, now: () => new Date(0), nowMs: () => 0 });
  onTestFinished(() => own.stop());
  const kinds = () => own.list().map(({ facts }) => facts.kind);
  return { own, lines, kinds };
}

test("a full disk is a condition until a change is written again, with a line in the log for each change", () => {
  const { own, lines, kinds } = disk();
  own.committed(0.01);
  expect(kinds()).toEqual([]);
  own.refused();
  own.refused();
  expect(kinds()).toEqual(["storage-full"]);
  own.committed(0.01);
  expect(kinds()).toEqual([]);
  expect(lines).toEqual(["condition began storage-full", "condition ended storage-full"]);
});

test("a disk is slow after three slow changes in a row, until one is not", () => {
  const { own, kinds } = disk();
  for (const seconds of [slowSeconds, slowSeconds, 0.01, slowSeconds, slowSeconds]) own.committed(seconds);
  expect(kinds()).toEqual([]);
  own.committed(slowSeconds);
  expect(kinds()).toEqual(["storage-slow"]);
  own.committed(0.01);
  expect(kinds()).toEqual([]);
});

test("a certificate that ends soon is a condition until it is renewed, and another one is another condition", async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  let ending: EndingCertificate | undefined;
  const log = { warn: () => {}, info: () => {} } as never;
  const deps = { directory: undefined, log, now: () => new Date(0), nowMs: () => 0 };
  const own = new OwnConditions({ ...deps, ending: () => ending });
  onTestFinished(() => own.stop());
  const facts = async () => {
    await vi.advanceTimersByTimeAsync(2_000);
    return own.list().map(({ facts: { reason, values } }) => `${reason} ${values.until}`);
  };
  expect(await facts()).toEqual([]);
  ending = { of: "controller", expiresMs: 86_400_000 };
  expect(await facts()).toEqual(["controller 1970-01-02T00:00:00.000Z"]);
  expect(await facts()).toHaveLength(1);
  ending = { of: "ca", expiresMs: 172_800_000 };
  expect(await facts()).toEqual(["ca 1970-01-03T00:00:00.000Z"]);
  ending = undefined;
  expect(await facts()).toEqual([]);
});

test("backups are expected where an operator says how often: one that is missing or too old is a condition until there is another", async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  let last: Date | undefined;
  let [wallMs, monotonicMs] = [0, 0];
  const log = { warn: () => {}, info: () => {} } as never;
  const now = () => new Date(wallMs);
  const backups = { withinMs: 86_400_000, last: () => last };
  const own = new OwnConditions({ directory: undefined, backups, log, now, nowMs: () => monotonicMs });
  onTestFinished(() => own.stop());
  const facts = async () => {
    monotonicMs += 30_000;
    await vi.advanceTimersByTimeAsync(2_000);
    return own.list().map(({ facts: { kind, reason, values } }) => [kind, reason, values.last].join(" ").trim());
  };
  expect(await facts()).toEqual(["backup-old never"]);
  last = new Date(0);
  expect(await facts()).toEqual([]);
  wallMs = 86_400_000;
  expect(await facts()).toEqual([]);
  wallMs += 1;
  expect(await facts()).toEqual(["backup-old old 1970-01-01T00:00:00.000Z"]);
  last = now();
  expect(await facts()).toEqual([]);
});

test("the time of the last backup is that of the file beside the database, and of nothing else under its name", () => {
  const directory = mkdtempSync(join(tmpdir(), "nearmiss-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const db = join(directory, "nearmiss.db");
  const at = new Date("2026-11-30T12:00:00.000Z");
  expect(readLastBackup(db)).toBeUndefined();
  noteBackup(db, at);
  expect(readLastBackup(db)).toEqual(at);
  noteBackup(db, new Date(at.getTime() + 1_000));
  expect(readLastBackup(db)?.getTime()).toBe(at.getTime() + 1_000);
  for (const text of ["", "yesterday", "2026-11-30", `${at.toISOString()} `.repeat(4)]) {
    writeFileSync(`${db}.last-backup`, text);
    expect(readLastBackup(db)).toBeUndefined();
  }
  rmSync(`${db}.last-backup`);
  writeFileSync(join(directory, "other"), at.toISOString());
  symlinkSync(join(directory, "other"), `${db}.last-backup`);
  expect(readLastBackup(db)).toBeUndefined();
  rmSync(`${db}.last-backup`);
  execFileSync("mkfifo", [`${db}.last-backup`]);
  expect(readLastBackup(db)).toBeUndefined();
});

test("a certificate ends soon when half the time after its renewal has passed, and two weeks before at most", () => {
  const hour = 3_600_000;
  const ends = (lifetime: number, left: number) => endsSoon(left * hour, lifetime * hour, 0);
  expect(ends(24, 8)).toBe(false);
  expect(ends(24, 4.1)).toBe(false);
  expect(ends(24, 3.9)).toBe(true);
  expect(ends(365 * 24, 15 * 24)).toBe(false);
  expect(ends(365 * 24, 13 * 24)).toBe(true);
  expect(ends(24, -1)).toBe(true);
});
