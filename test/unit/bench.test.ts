import { describe, expect, test } from "vitest";
import { parseIp, parseMac } from "../../schema/address/index.ts";
import { Addresses, endpoint, scannedSubnet } from "../../testkit/bench/addresses.ts";
import { bench, type Given } from "../../testkit/bench/bench.ts";
import { agentTimes } from "../../testkit/bench/first-packet/agent-times.ts";
import { report } from "../../testkit/bench/first-packet/report.ts";
import { compareModes, judgeModes, ratios, summarizeModes } from "../../testkit/bench/first-packet/result.ts";
import type { Trial } from "../../testkit/bench/first-packet/trial.ts";
import { helpFor } from "../../testkit/bench/help.ts";
import {
  flag,
  type Length,
  number,
  OptionError,
  parseFamilies,
  parseList,
  parseNumber,
  parseNumbers,
} from "../../testkit/bench/options.ts";
import { withFigures } from "../../testkit/bench/page.ts";
import { interleave } from "../../testkit/bench/schedule.ts";
import { formatMs, formatRatio, formatShare, table } from "../../testkit/bench/table.ts";

describe("a schedule", () => {
  test("has each item as often as stated, in an order that depends on the seed alone", () => {
    const items = [
      { item: "fast", times: 3 },
      { item: "slow", times: 1 },
    ];
    expect(interleave(items, () => 0)).toEqual(["fast", "fast", "slow", "fast"]);
    expect(interleave(items, () => 0.999)).toEqual(["fast", "fast", "fast", "slow"]);
  });
});

describe("a trial's addresses", () => {
  test.each([4, 6] as const)("are never assigned twice, and are canonical (IPv%i)", (family) => {
    const addresses = new Addresses();
    const all = Array.from({ length: 70_000 }, () => addresses.fresh(family));
    for (const key of ["name", "mac", "ip"] as const) expect(new Set(all.map((each) => each[key])).size).toBe(70_000);
    for (const { mac, ip } of [...all.slice(0, 300), ...all.slice(-300)]) {
      expect(parseMac(mac)).toBe(mac);
      expect(parseIp(ip)).toBe(ip);
    }
  });

  test("are outside the range of a scan, and end with the subnet", () => {
    expect(scannedSubnet).toEqual({ firstIp: "10.64.0.0", size: 65_536 });
    expect(endpoint(0, 4).ip).toBe("10.65.0.1");
    expect(endpoint(0x3e_0000, 4).ip).toBe("10.127.0.1");
    expect(() => endpoint(0x40_0000, 4)).toThrow(RangeError);
  });
});

describe("a bench", () => {
  const twice = bench({
    about: "numbers, doubled",
    options: { rounds: number("rounds", 300, 20), steps: flag("also the steps") },
    run: async ({ rounds, steps }) => ({ doubled: 2 * rounds, steps }),
    report: ({ doubled }) => `${doubled}\n`,
  });
  const outcome = (given: Given, length: Length) => twice.start(given, length, () => {})();

  test("uses the given values, and otherwise defaults for the length of the run", async () => {
    expect(await outcome({}, "whole")).toMatchObject({ result: { doubled: 600, steps: false }, text: "600\n" });
    expect(await outcome({ steps: true }, "short")).toMatchObject({
      result: { doubled: 40, steps: true },
      text: "40\n",
    });
    expect((await outcome({ rounds: "7" }, "short")).text).toBe("14\n");
  });

  test("says whether a result meets its target, if it has one", async () => {
    const promising = bench({
      about: "numbers of at most 100",
      options: { rounds: number("rounds", 300, 20) },
      run: async ({ rounds }) => ({ rounds }),
      report: () => "",
      holds: ({ rounds }) => rounds <= 100,
    });
    expect((await promising.start({}, "whole", () => {})()).holds).toBe(false);
    expect((await promising.start({}, "short", () => {})()).holds).toBe(true);
    expect((await outcome({}, "whole")).holds).toBe(true);
  });

  test("refuses before any set-up, and names the flag", () => {
    expect(() => twice.start({ rounds: "0" }, "whole", () => {})).toThrow('--rounds: "0" is not a number from 1');
  });

  test("explains itself", () => {
    expect(helpFor("twice", twice)).toMatch(/^ {2}--rounds <n> +rounds \(300, 20 with --short\)$/m);
    const explained = bench({
      about: "x",
      details: "what it compares",
      options: {},
      run: async () => ({}),
      report: () => "",
    });
    expect(helpFor("explained", explained)).toContain("\n\nwhat it compares\n\nOptions:");
  });
});

describe("options", () => {
  test("are parsed", () => {
    expect(parseNumber("300")).toBe(300);
    expect(parseNumbers("2,8,32", 2)).toEqual([2, 8, 32]);
    expect(parseFamilies("6,4,6")).toEqual([6, 4]);
    expect(parseList("b,a", ["a", "b"])).toEqual(["b", "a"]);
  });

  test.each([
    () => parseNumber("0"),
    () => parseNumber("many"),
    () => parseNumber("-3"),
    () => parseNumbers("1,8", 2),
    () => parseNumbers("", 2),
    () => parseFamilies("5"),
    () => parseList("c", ["a", "b"]),
  ])("that are invalid are refused (%#)", (parse) => {
    expect(parse).toThrow(OptionError);
  });
});

const loose = { memory: 6, prefetch: 2, demand: 12, announce: 1, p95: 20, p99: 3.4, ipv6: 2, retried: 0 };

describe("the result of first-packet", () => {
  const trial = (mode: Trial["mode"], timeMs: number, family: Trial["family"] = 4): Trial => {
    return { mode, family, timeMs, resolves: mode === "static" ? 0 : 2, misses: mode === "prefetch" ? 1 : null };
  };
  const trials = [
    ...[0.1, 0.1, 0.3].map((ms) => trial("static", ms)),
    ...[0.4, 0.5, 0.6].map((ms) => trial("nearmiss", ms)),
    trial("nearmiss-announce-off", 2_000),
    trial("nearmiss", 0.7, 6),
  ];
  const modes = summarizeModes(trials, ["nearmiss-announce-off", "nearmiss", "static"], [4, 6]);

  test("summarizes each mode and family that ran", () => {
    expect(modes.map(({ mode, family, trials }) => [mode, family, trials])).toEqual([
      ["nearmiss-announce-off", 4, 1],
      ["nearmiss", 4, 3],
      ["nearmiss", 6, 1],
      ["static", 4, 3],
    ]);
    expect(modes[0]).toMatchObject({ resolves: 2, medianMs: 2_000, retried: 1 });
    expect(modes[1]).toMatchObject({ resolves: 6, medianMs: 0.5, p99Ms: 0.6, retried: 0 });
  });

  test("compares modes on hosts with static entries, and says which ceilings are exceeded", () => {
    const none = { retried: 0, misses: null };
    const some = [0.5, 0.6, 2].flatMap((ms) => [trial("replicate", ms), trial("replicate", 2 * ms, 6)]);
    const comparisons = compareModes(summarizeModes([...trials, ...some], ["static", "nearmiss", "replicate"], [4, 6]));
    expect(comparisons).toEqual([
      { mode: "nearmiss", family: 4, medianVsStatic: 5, p95VsStatic: 6, p99VsMedian: 1.2, vsIpv4: null, ...none },
      { mode: "nearmiss", family: 6, medianVsStatic: null, p95VsStatic: null, p99VsMedian: 1, vsIpv4: 1.4, ...none },
      { mode: "replicate", family: 4, medianVsStatic: 6, p95VsStatic: 20, p99VsMedian: 3.333, vsIpv4: null, ...none },
      { mode: "replicate", family: 6, medianVsStatic: null, p95VsStatic: null, p99VsMedian: 3.333, vsIpv4: 2, ...none },
    ]);
    const beside = ratios(modes, [4, 6]);
    const ceilings = { ...loose, memory: 6, demand: 5, announce: 4_000 };
    expect(judgeModes(comparisons, beside, ceilings)).toEqual([]);
    const strict = { ...loose, memory: 5.9, demand: 4.9, announce: 4_001, p95: 19, p99: 3.3, ipv6: 1.9 };
    expect(judgeModes(comparisons, beside, strict)).toHaveLength(7);
  });

  test("asks of entries in the kernel that nothing is missed, of networks in memory that no packet is sent again, and nothing of a long way", () => {
    const more = [trial("prefetch", 0.2), trial("prefetch", 0.2), trial("replicate", 950), trial("on-demand-far", 99)];
    const all = summarizeModes([...trials, ...more], ["static", "prefetch", "replicate", "on-demand-far"], [4]);
    expect(all.map(({ misses }) => misses)).toEqual([null, 2, null, null]);
    const judge = (changed: object) =>
      judgeModes(compareModes(all), [], { ...loose, memory: 99_999, p95: 99_999, ...changed });
    expect(judge({ prefetch: 1.9 })).toEqual([
      "prefetch, IPv4: median : that of static entries is 2.00 ×, asked at most 1.90 ×",
      "prefetch, IPv4: misses of registered addresses is 2, asked at most 0",
      "replicate, IPv4: packets that were sent again is 1, asked at most 0",
    ]);
    expect(judge({ prefetch: 2, retried: 1 })).toHaveLength(1);
  });

  test("compares medians, and is null without a counterpart", () => {
    expect(ratios(modes, [4, 6])).toEqual([
      { family: 4, vsAnnounceOff: 4_000, vsStatic: 5, p99VsMedian: 1.2 },
      { family: 6, vsAnnounceOff: null, vsStatic: null, p99VsMedian: 1 },
    ]);
  });

  test("is printed as tables", () => {
    const replicatedFrames = [
      { mode: "static", hosts: 2, frames: 0, conversations: 2 },
      { mode: "static", hosts: 32, frames: 1_234, conversations: 2 },
    ] as const;
    const comparisons = compareModes(modes);
    const text = report({ modes, ratios: ratios(modes, [4, 6]), comparisons, missed: ["late"], replicatedFrames });
    expect(text).toContain("missed: late");
    expect(text).toMatch(
      /^ {2}nearmiss +v4 +3 +0\.400 ms +0\.500 ms +0\.600 ms +0\.600 ms +0\.600 ms +0\.600 ms +0 % +–$/m,
    );
    expect(text).toContain("  v4                    4,000 ×               5.00 ×         1.20 ×\n");
    expect(text).toContain("  static   0   1,234\n");
    expect(text).not.toContain("Where the time");
  });
});

test("an agent's own times are the medians of the l3misses that it answered, by family", () => {
  const line = (key: string, askMs: number, msg = "miss answered", kind = "l3miss") => {
    return { msg, kind, key, askMs, programMs: 0.2, totalMs: askMs + 0.3 };
  };
  const lines = [
    ...[0.5, 0.9, 0.7].map((ms) => line("10.64.0.1", ms)),
    line("10.64.0.2", 9, "miss unknown"),
    line("52:54:00:00:00:01", 9, "miss answered", "l2miss"),
    { msg: "listening" },
  ];
  expect(agentTimes("nearmiss", lines, [4, 6])).toEqual([
    { mode: "nearmiss", family: 4, misses: 3, askMs: 0.7, programMs: 0.2, totalMs: 1 },
  ]);
});

describe("the page of figures", () => {
  const figures = { name: "move", about: "how fast VMs move", text: "\n  5 ms\n", origin: "Today, here." };
  const block = "<!-- bench move -->\n```text\n  5 ms\n```\n\nToday, here.\n<!-- /bench -->";

  test("has new figures between their marks, and everything else as it was", () => {
    const page = (between: string) => `# P\n\n<!-- bench x -->\n1\n<!-- /bench -->\n\n${between}\n\nMore.\n`;
    expect(withFigures(page("<!-- bench move -->\n<!-- /bench -->"), figures)).toBe(page(block));
    expect(withFigures(page(block), figures)).toBe(page(block));
  });

  test("gets a section for a bench without marks", () => {
    expect(withFigures("# P\n", figures)).toBe(`# P\n\n## \`move\`\n\nHow fast VMs move.\n\n${block}\n`);
  });
});

describe("tables for people", () => {
  test("have columns as wide as their widest cell", () => {
    expect(
      table(
        ["a", "b"],
        [
          ["long", "1"],
          ["x", "1,000"],
        ],
      ),
    ).toBe("  a          b\n  long       1\n  x      1,000\n");
  });

  test("have about three significant digits", () => {
    expect([0.1234, 1.934, 14.36, 2_041.3].map(formatMs)).toEqual(["0.123 ms", "1.93 ms", "14.4 ms", "2,041 ms"]);
    expect([2.534, 18.04, 1_960.4, null].map(formatRatio)).toEqual(["2.53 ×", "18.0 ×", "1,960 ×", "–"]);
    expect(formatShare(1, 300)).toBe("0.3 %");
  });
});
