import { describe, expect, test } from "vitest";
import { asCondition } from "../../node-agent/findings/condition.ts";
import { ConditionSet, dwellMs } from "../../node-agent/findings/condition-set.ts";
import { maxConditionsPerFrame, maxConditionsPerHost } from "../../schema/agent/index.ts";
import { exampleOf } from "../support/conditions.ts";

const mtu = (device: string, most = "1400") => asCondition(exampleOf("mtu-too-large", 100, { device, most }), "blue");
const name = { kind: "guest-never-seen", vni: 100 as never, subject: "52:54:00:00:00:01" } as const;

describe("the conditions that the controller is sent", () => {
  test("are the whole set at first, then what began, what has other values, and what ended", () => {
    const set = new ConditionSet(0);
    set.follow([mtu("eth0"), mtu("eth1")], [], 1_000);
    const [whole, ...more] = set.takeFrames(3_000);
    expect(more).toEqual([]);
    expect(whole).toMatchObject({ whole: true, watchedMs: 3_000, end: true });
    expect(whole?.add.map(({ values, agoMs }) => [values.device, agoMs])).toEqual([
      ["eth0", 2_000],
      ["eth1", 2_000],
    ]);
    expect(set.takeFrames(4_000)).toEqual([]);
    set.follow([mtu("eth0", "1300"), mtu("eth2")], [], 5_000 + dwellMs);
    const [frame] = set.takeFrames(5_000 + dwellMs);
    expect([frame?.whole, frame?.add.map(({ values }) => values.device), frame?.remove]).toEqual([
      false,
      ["eth0", "eth2"],
      [{ kind: "mtu-too-large", vni: 100, subject: "eth1" }],
    ]);
    set.forgetSent();
    expect(set.takeFrames(9_000)[0]).toMatchObject({ whole: true, add: [{}, {}] });
  });

  test("that come and go within the dwell time are one, since its first beginning", () => {
    const set = new ConditionSet(0);
    set.follow([mtu("eth0")], [], 0);
    set.takeFrames(0);
    set.follow([], [], dwellMs - 1);
    expect(set.takeFrames(dwellMs - 1)).toEqual([]);
    set.follow([mtu("eth0")], [], dwellMs);
    expect(set.takeFrames(dwellMs)).toEqual([]);
    set.follow([], [], 2 * dwellMs);
    expect(set.takeFrames(2 * dwellMs)).toMatchObject([{ remove: [{ subject: "eth0" }] }]);
  });

  test("of a guest that this run cannot judge are named, and ended when it is heard", () => {
    const set = new ConditionSet(0);
    set.follow([], [name], 0);
    expect(set.takeFrames(0)).toMatchObject([{ whole: true, undecided: [name], add: [] }]);
    set.follow([], [], 1);
    expect(set.takeFrames(1)).toMatchObject([{ whole: false, remove: [name] }]);
  });

  test("are bounded, and sent in frames that are", () => {
    const set = new ConditionSet(0);
    set.follow(
      Array.from({ length: 1_000 }, (_, n) => mtu(`eth${n}`)),
      [],
      0,
    );
    const frames = set.takeFrames(0);
    expect(frames.reduce((sum, { add }) => sum + add.length, 0)).toBe(maxConditionsPerHost);
    expect(Math.max(...frames.map(({ add }) => add.length))).toBe(maxConditionsPerFrame);
    expect(frames.map(({ end }) => end).indexOf(true)).toBe(frames.length - 1);
    expect(Math.max(...frames.map((frame) => JSON.stringify(frame).length))).toBeLessThan(64 * 1024);
  });
});
