import { describe, expect, test } from "vitest";
import { Checks } from "../../testkit/demo/checks.ts";
import { count, formatMs, Story, wrap } from "../../testkit/demo/story.ts";

function tell(act: (story: Story) => void): string {
  let text = "";
  const stream = {
    write: (part: string | Uint8Array) => {
      text += String(part);
      return true;
    },
  };
  act(new Story(stream));
  return text;
}

describe("the demo's story", () => {
  test.each([
    [0.0912, "0.09 ms"],
    [1.94, "1.9 ms"],
    [14.4, "14 ms"],
    [2041.3, "2,041 ms"],
  ])("%d ms reads %s", (ms, text) => {
    expect(formatMs(ms)).toBe(text);
  });

  test("counts one packet and many", () => {
    expect([count(1, "packet"), count(0, "packet"), count(1_200, "packet")]).toEqual([
      "1 packet",
      "0 packets",
      "1,200 packets",
    ]);
  });

  test("wraps at spaces and never inside a word", () => {
    expect(wrap("a miss is a question", 9)).toEqual(["a miss is", "a", "question"]);
    expect(wrap("", 9)).toEqual([]);
  });

  test("has no colours without a terminal", () => {
    const text = tell((story) => {
      story.chapter("The first packet");
      story.event("host a", "l3miss", "which MAC has 10.20.1.2?");
      story.mark(true, "kept");
    });
    expect(text).toBe("\n1  The first packet\n\n     host a     l3miss  which MAC has 10.20.1.2?\n   ✓ kept\n");
  });

  test("names the expectation that failed and continues", () => {
    const text = tell((story) => {
      const checks = new Checks(story);
      checks.expect("web reaches db", false, "0 of 3 answered");
      checks.expect("db reaches web", true, "3 of 3 answered");
      expect(checks.failures().map(({ what }) => what)).toEqual(["web reaches db"]);
    });
    expect(text).toBe("   ✗ web reaches db: 0 of 3 answered\n   ✓ db reaches web: 3 of 3 answered\n");
  });

  test("is silent once it has ended", () => {
    const text = tell((story) => {
      story.end();
      story.say("still here");
    });
    expect(text).toBe("");
  });
});
