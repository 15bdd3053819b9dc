import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { expect, test, vi } from "vitest";
import { ConnectionTracking, findFullTracking, readTracked } from "../../node-agent/watch/connection-tracking.ts";

test("a table that is nearly full is a condition, and one without a limit or without tracking is none", () => {
  expect(findFullTracking(undefined)).toEqual([]);
  expect(findFullTracking({ count: 5, most: 0 })).toEqual([]);
  expect(findFullTracking({ count: 949, most: 1_000 })).toEqual([]);
  expect(findFullTracking({ count: 950, most: 1_000 })).toMatchObject([
    { kind: "tracking-full", values: { most: "1000" } },
  ]);
});

test("the kernel's figures are read, and their absence is no fault", () => {
  const directory = mkdtempSync(join(tmpdir(), "nearmiss-"));
  try {
    expect(readTracked(directory)).toBeUndefined();
    writeFileSync(join(directory, "nf_conntrack_count"), "12\n");
    writeFileSync(join(directory, "nf_conntrack_max"), "262144\n");
    expect(readTracked(directory)).toEqual({ count: 12, most: 262_144 });
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("it is looked at every two seconds, and one line says that it began, one that it ended", async () => {
  vi.useFakeTimers();
  const lines: string[] = [];
  const log = pino({}, { write: (line) => lines.push(JSON.parse(line).msg) });
  let count = 0;
  const tracking = new ConnectionTracking(log, () => ({ count, most: 100 }));
  try {
    tracking.start();
    expect(tracking.conditions).toEqual([]);
    count = 100;
    await vi.advanceTimersByTimeAsync(4_000);
    expect(tracking.conditions).toHaveLength(1);
    count = 50;
    await vi.advanceTimersByTimeAsync(4_000);
    expect(tracking.conditions).toEqual([]);
    expect(lines).toEqual([
      expect.stringMatching(/^the table of tracked connections has room for 100 and is full/),
      "connection tracking has room again",
    ]);
  } finally {
    tracking.close();
    vi.useRealTimers();
  }
});
