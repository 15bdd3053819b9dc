import { describe, expect, test } from "vitest";
import { maxFrameBytes, parseAgentFrame } from "../../schema/agent/index.ts";
import { controllerAttacks } from "../../testkit/bench/abuse/attacks/all.ts";
import { interestFrames, textFrame } from "../../testkit/bench/abuse/attacks/frames.ts";
import { parseCpuList, planCpus } from "../../testkit/bench/abuse/cpus.ts";
import { controllerAttackNames } from "../../testkit/bench/abuse/names.ts";
import { Samples } from "../../testkit/bench/abuse/samples.ts";
import {
  type Ceilings,
  type ControllerFigures,
  judgeController,
  judgeGuest,
} from "../../testkit/bench/abuse/verdict.ts";
import { distribution } from "../../testkit/statistics.ts";

const ceilings: Ceilings = { ratio: 2, slackMs: 1, memoryMib: 64, backMs: 5_000, firstPackets: 3 };
const all = (ms: number) => {
  const times = distribution([ms]);
  return { reads: times, writes: times, connects: times, imports: times, questions: times };
};
const calm: ControllerFigures = {
  control: all(10),
  attacked: all(21),
  failures: {},
  rssPeaceMib: 100,
  rssPeakMib: 164,
  backMs: 5_000,
  ended: false,
};

describe("the verdict on an attack", () => {
  test("passes as long as each figure is within its ceiling", () => {
    expect(judgeController("log", calm, ceilings)).toEqual([]);
  });

  test("names each honest operation that is slower than its ceiling", () => {
    const attacked = { ...all(21), reads: distribution([22]) };
    expect(judgeController("log", { ...calm, attacked }, ceilings)).toEqual(["reads: 2.2 ×"]);
  });

  test("does not mistake an operation without a sample for a fast one", () => {
    const { questions: _, ...attacked } = all(10);
    expect(judgeController("log", { ...calm, attacked }, ceilings)).toEqual(["questions: none succeeded"]);
  });

  test("counts failures, memory, the return path, and the controller's end", () => {
    const worse = { ...calm, failures: { "connects: ECONNRESET": 3 }, rssPeakMib: 165, backMs: 5_001 };
    expect(judgeController("log", worse, ceilings)).toEqual([
      "3 failed (connects: ECONNRESET)",
      "memory: + 65 MiB",
      "back to peace after 5001 ms",
    ]);
    expect(judgeController("log", { ...calm, backMs: null }, ceilings)).toEqual(["not back to peace"]);
    expect(judgeController("log", { ...calm, ended: true }, ceilings)).toEqual(["the controller ended"]);
  });

  test("lets an import wait for an attacker's import, but not for one whose body does not arrive", () => {
    const attacked = { ...all(10), imports: distribution([4_000]) };
    expect(judgeController("dry-run", { ...calm, attacked }, ceilings)).toEqual([]);
    expect(judgeController("slow-import", { ...calm, attacked }, ceilings)).toEqual(["imports: 400 ×"]);
  });
});

describe("the verdict on a guest's flood", () => {
  const peaceful = { peace: distribution([3]), during: distribution([10]), after: distribution([10]) };
  const quiet = { ...peaceful, rssPeaceMib: 100, rssPeakMib: 164, copies: 10, maxCopies: 10 };

  test("passes as long as each figure is within its ceiling", () => {
    expect(judgeGuest(quiet, ceilings)).toEqual([]);
  });

  test("names copies of broadcasts beyond the limit, and a missing count", () => {
    expect(judgeGuest({ ...quiet, copies: 11 }, ceilings)).toEqual(["11 copies to other hosts, of at most 10"]);
    expect(judgeGuest({ ...quiet, copies: Number.NaN }, ceilings)).toHaveLength(1);
  });

  test("names slower figures, losses and memory growth", () => {
    const after = distribution([...Array<number>(18).fill(12), 2_000, 2_000]);
    expect(judgeGuest({ ...quiet, after, rssPeakMib: 165 }, ceilings)).toEqual([
      "after: 4 ×",
      "after: 2 of 20 lost",
      "memory: + 65 MiB",
    ]);
  });

  test("does not mistake silence for speed", () => {
    expect(judgeGuest({ ...quiet, during: distribution([]) }, ceilings)).toEqual(["during: NaN ×"]);
  });
});

describe("samples", () => {
  test("belong to the phase in which they began", async () => {
    const samples = new Samples();
    let finish = (): void => {};
    const late = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const timed = samples.time("reads", () => late);
    const first = samples.cut();
    await samples.time("reads", async () => {});
    finish();
    await timed;
    expect((await first).times.reads).toHaveLength(1);
    expect((await samples.cut()).times.reads).toHaveLength(1);
  });

  test("have no time but a cause if they failed", async () => {
    const samples = new Samples();
    await samples.time("writes", () => Promise.reject(new Error("503")));
    expect(await samples.cut()).toEqual({ times: {}, failures: { "writes: 503": 1 } });
  });
});

describe("processors", () => {
  test("are reserved for the controller and the attackers, and honest clients have the rest", () => {
    expect(planCpus([0, 1, 2, 3])).toEqual({ attacked: "0", attackers: "3", honest: "1,2" });
    expect(planCpus([2, 5])).toEqual({ attacked: "2", attackers: "5", honest: "5" });
    expect(planCpus([4])).toEqual({ attacked: "4", attackers: "4", honest: "4" });
  });

  test("are parsed in the kernel's format", () => {
    expect(parseCpuList("0-2,7")).toEqual([0, 1, 2, 7]);
  });
});

describe("frames of a rogue host", () => {
  test("are accepted by the controller", () => {
    const frames = interestFrames(100, 2_000);
    const parsed = frames.map((frame) => parseAgentFrame(frame.subarray(frame.length < 134 ? 6 : 8).toString()));
    expect(parsed.map((frame) => frame?.type === "interest" && [frame.keys.length, frame.end])).toEqual([
      [900, false],
      [900, false],
      [200, true],
    ]);
    for (const frame of frames) expect(frame.length).toBeLessThanOrEqual(maxFrameBytes);
  });

  test("state their length as RFC 6455 requires", () => {
    expect(textFrame("ab").subarray(0, 2)).toEqual(Buffer.from([0x81, 0x82]));
    expect(textFrame("x".repeat(300)).subarray(0, 4)).toEqual(Buffer.from([0x81, 0xfe, 1, 44]));
  });
});

test("each selectable attack exists", () => {
  expect(Object.keys(controllerAttacks).toSorted()).toEqual(controllerAttackNames.toSorted());
});
