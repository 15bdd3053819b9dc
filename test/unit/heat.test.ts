import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { firstRuns, Heat, heatMs, idleHeatMs, type MadeUpWork } from "../../common/heat.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  onTestFinished(() => void vi.useRealTimers());
});

/** Work that is done after `tookMs`, or never. */
function played() {
  const seen = { opened: 0, closed: 0, begun: 0, failures: [] as unknown[] };
  const work = { tookMs: 1 as number | undefined, refusal: undefined as Error | undefined };
  const open = async (): Promise<MadeUpWork> => {
    seen.opened += 1;
    if (work.refusal) throw work.refusal;
    return {
      run: (done) => {
        seen.begun += 1;
        if (work.tookMs !== undefined) setTimeout(done, work.tookMs);
      },
      close: () => {
        seen.closed += 1;
      },
    };
  };
  const heat = new Heat({ open, failed: (error) => seen.failures.push(error), nowMs: () => performance.now() });
  return { heat, seen, work };
}

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

async function warm() {
  const it = played();
  it.heat.want(true);
  await pass(10 * firstRuns);
  expect(it.heat.state).toBe("warm");
  return it;
}

test("nothing runs before it is wanted, the first runs follow each other, later ones come five times a second", async () => {
  const { heat, seen } = played();
  await pass(1_000);
  expect(seen.opened).toBe(0);
  heat.want(true);
  expect(heat.state).toBe("warming up");
  await pass(10 * firstRuns);
  expect(heat).toMatchObject({ state: "warm", everyMs: heatMs });
  const { begun } = seen;
  await pass(10 * heatMs);
  expect(seen.begun - begun).toBe(10);
  expect(heat.ms / heat.runs).toBeCloseTo(1);
});

test("it ends where it is not wanted, and begins warm", async () => {
  const { heat, seen } = await warm();
  heat.want(false);
  expect(heat).toMatchObject({ state: "off", everyMs: 0 });
  expect(seen.closed).toBe(1);
  const { begun } = seen;
  await pass(10_000);
  expect(seen.begun).toBe(begun);
  heat.want(true);
  await pass(100);
  expect(heat.state).toBe("warm");
  expect(seen.opened).toBe(2);
});

test("without real work for ten minutes it runs once a second, until there is some", async () => {
  const { heat, seen } = await warm();
  await pass(600_000);
  expect(heat.everyMs).toBe(idleHeatMs);
  const { begun } = seen;
  await pass(10 * idleHeatMs);
  expect(seen.begun - begun).toBe(10);
  heat.used(performance.now());
  expect(heat.everyMs).toBe(heatMs);
});

test("a busy machine is left alone for longer, and a run never begins before the last one has ended", async () => {
  const { heat, seen, work } = await warm();
  const now = performance.now.bind(performance);
  let lateMs = 0;
  vi.spyOn(performance, "now").mockImplementation(() => now() + lateMs);
  for (let i = 0; i < 200; i++) {
    await pass(heatMs - 1);
    lateMs += 60;
    await pass(1);
  }
  expect(heat.everyMs).toBeGreaterThan(heatMs);
  work.tookMs = 5_000;
  await pass(2_000);
  const { begun } = seen;
  await pass(2_500);
  expect(seen.begun).toBe(begun);
});

test("work that is never done ends it with the reason, and so does a kernel that refuses its sockets", async () => {
  const { heat, seen, work } = await warm();
  work.tookMs = undefined;
  await pass(12_000);
  expect(heat.state).toBe("failed");
  expect(seen.closed).toBe(1);
  expect(seen.failures).toEqual([new Error("made-up work is not answered")]);
  // Anew with the next session.
  heat.want(false);
  work.refusal = new Error("no sockets");
  heat.want(true);
  await pass(1);
  expect(heat.state).toBe("failed");
  expect(seen.failures).toHaveLength(2);
  const { begun } = seen;
  await pass(10_000);
  expect(seen.begun).toBe(begun);
});

test("what opens after it was stopped is closed at once", async () => {
  const { heat, seen } = played();
  heat.want(true);
  heat.want(false);
  await pass(1_000);
  expect(seen).toMatchObject({ opened: 1, closed: 1, begun: 0 });
});
