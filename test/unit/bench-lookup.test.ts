// How the bench of look-ups chooses its questions, reads answers and compares.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { missedOf, reportMissed } from "../../testkit/bench/bounds.ts";
import { compare } from "../../testkit/bench/lookup/bench.ts";
import { clientFrame, EchoReader, FrameReader, HttpReader } from "../../testkit/bench/lookup/frames.ts";
import { anyVisible, askingHost, askingHosts, hostsFor, questionOf } from "../../testkit/bench/lookup/inventory.ts";
import { reportLookup } from "../../testkit/bench/lookup/report.ts";
import { fleetImports } from "../../testkit/bench/made-up-fleet.ts";
import { OptionError, parseRatio } from "../../testkit/bench/options.ts";

describe("the inventory of a size", () => {
  test.each([1_000, 10_000, 100_000])(
    "has a VM of the asking host in each network that it asks about (%i VMs)",
    (vms) => {
      const vmsOn = (host: number) => Math.ceil((vms - host) / hostsFor(vms));
      for (let n = 0; n < askingHosts; n++) {
        const host = askingHost(n, vms);
        const own = Array.from({ length: vmsOn(host) }, (_, i) => Math.floor((host + i * hostsFor(vms)) / 1_000));
        for (let i = 0; i < 50; i++) expect(own).toContain(anyVisible(host, vms, Math.random).network);
      }
    },
  );

  test("is asked for by both addresses of a VM", () => {
    const place = anyVisible(0, 1_000, () => 0);
    expect([0.1, 0.9].map((number) => questionOf(place, () => number).ip)).toEqual(["10.0.0.1", "fd00::1"]);
  });

  test("is imported in parts that have every line once", () => {
    const lines = [...fleetImports({ vms: 1_200, hosts: 10 }, 1_000)].map((part) => String(part).trim().split("\n"));
    expect(lines.map(({ length }) => length)).toEqual([1_000, 212]);
    expect(new Set(lines.flat()).size).toBe(1_212);
  });
});

/** As a server sends it. */
function serverFrame(text: string): Buffer {
  const head =
    text.length < 126 ? Buffer.of(0x81, text.length) : Buffer.of(0x81, 126, text.length >> 8, text.length & 255);
  return Buffer.concat([head, Buffer.from(text)]);
}

describe("answers", () => {
  test("are counted however the frames are split, and other frames are not", () => {
    const texts = fc.array(fc.constantFrom("answers", `answers ${"x".repeat(300)}`, "heartbeat"), { maxLength: 12 });
    fc.assert(
      fc.property(texts, fc.integer({ min: 1, max: 400 }), (sent, step) => {
        const bytes = Buffer.concat(sent.map(serverFrame));
        const reader = new FrameReader("answers");
        let count = 0;
        for (let at = 0; at < bytes.length; at += step) count += reader.take(bytes.subarray(at, at + step));
        expect(count).toBe(sent.filter((text) => text.startsWith("answers")).length);
      }),
    );
  });

  test("of an echo are as many bytes as the request", () => {
    const reader = new EchoReader(10);
    expect([4, 6, 25].map((bytes) => reader.take(Buffer.alloc(bytes)))).toEqual([0, 1, 2]);
  });

  test("of HTTP end with their body, and another status than 200 is a mistake", () => {
    const reader = new HttpReader();
    expect(reader.take(Buffer.from("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{"))).toBe(0);
    expect(reader.take(Buffer.from('"a"'))).toBe(1);
    expect(() => reader.take(Buffer.from("HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n"))).toThrow("404");
  });
});

test("frames of clients are masked", () => {
  const frame = clientFrame("hello");
  expect([...frame.subarray(0, 2)]).toEqual([0x81, 0x85]);
  expect(
    frame
      .subarray(6)
      .map((byte, i) => byte ^ (frame[2 + (i & 3)] as number))
      .toString(),
  ).toBe("hello");
  expect(clientFrame("x".repeat(200)).readUInt16BE(2)).toBe(200);
  expect(() => clientFrame("x".repeat(70_000))).toThrow(RangeError);
});

describe("the result", () => {
  const turn = (perCpuSecond: number) => ({ perSecond: 1, perCpuSecond, medianMs: 1, p99Ms: 2 });
  const sides = { many: turn(300_000), one: turn(40_000), get: turn(5_000), stock: turn(20_000), ws: turn(50_000) };
  const size = compare(1_000, new Map(Object.entries(sides)) as Parameters<typeof compare>[1]);

  test("compares answers in a CPU second, and is null without its opponent", () => {
    expect(size.ratios).toEqual({ manyToStock: 15, oneToWs: 0.8, oneToNative: null, getToStock: 0.25 });
  });

  test("is printed with a row for each side, and says what is absent and what is missed", () => {
    const text = reportLookup({ rounds: 5, turn: 100, perFrame: 64, sizes: [size], missed: ["a GET is 0.25 ×"] });
    expect(text).toMatch(/^ {2}look-ups, 64 a frame +1,000 +300,000 +1 +1\.00 ms +2\.00 ms$/m);
    expect(text).toMatch(/^ {2}C epoll echo +1,000 +absent: no cc on this machine$/m);
    expect(text).toContain("\n  missed: a GET is 0.25 ×\n");
  });
});

test("ratios beyond their bounds are listed, and one without an opponent is not asked for", () => {
  const bounds = [
    { what: "a", ratio: 0.5, least: 0.8 },
    { what: "b", ratio: 0.9, least: 0.8 },
    { what: "c", ratio: 3, most: 2 },
    { what: "d", ratio: null, most: 2 },
  ];
  expect(missedOf(bounds)).toEqual(["a is 0.50 ×, asked at least 0.80 ×", "c is 3.00 ×, asked at most 2.00 ×"]);
  expect(reportMissed([])).toBe("");
});

test("a ratio has decimals", () => {
  expect(parseRatio("0.8")).toBe(0.8);
  expect(() => parseRatio("-1")).toThrow(OptionError);
});
