import { describe, expect, test } from "vitest";
import { parsePing } from "../../testkit/lab/ping.ts";
import { parseLogLine } from "../../testkit/lab/process.ts";
import { attachments, hostNames, planUnderlay } from "../../testkit/lab/underlay.ts";
import { waitFor, waitUntil } from "../../testkit/lab/wait.ts";

describe("ping output", () => {
  const head = "PING 10.20.1.2 (10.20.1.2) 56(84) bytes of data.\n";
  const answer = (sequence: number, time: string) =>
    `64 bytes from 10.20.1.2: icmp_seq=${sequence} ttl=64 time=${time} ms\n`;
  const summary = (sent: number) => `\n--- 10.20.1.2 ping statistics ---\n${sent} packets transmitted, …\n`;

  test("a late packet is received, a missing one is lost by its number", () => {
    const output = head + answer(1, "1006") + answer(2, "803.4") + answer(4, "0.091") + summary(4);
    expect(parsePing(output)).toMatchObject({ sent: 4, received: 3, lost: [3], rtts: [1006, 803.4, 0.091] });
  });

  test("a duplicate counts once, an unreachable host not at all", () => {
    const unreachable = "From 10.20.1.1 icmp_seq=2 Destination Host Unreachable\n";
    const output = head + answer(1, "0.1") + answer(1, "0.2").replace("\n", " (DUP!)\n") + unreachable + summary(2);
    expect(parsePing(output)).toMatchObject({ sent: 2, received: 1, lost: [2], rtts: [0.1] });
  });

  test("packets sent after the count was taken do not matter", () => {
    expect(parsePing(head + answer(1, "0.1") + answer(2, "0.1"), 1)).toMatchObject({ sent: 1, received: 1, lost: [] });
  });
});

describe("a log line", () => {
  test("keeps its fields", () => {
    expect(parseLogLine('{"level":20,"msg":"miss answered","vni":100}')).toEqual({
      level: 20,
      msg: "miss answered",
      vni: 100,
    });
  });

  test.each(["terminate called", "{", "null", '"text"', '{"no":"msg"}'])("%s that is not ours stays text", (text) => {
    expect(parseLogLine(text)).toEqual({ msg: text });
  });
});

describe("an underlay", () => {
  test("gives each host a name and an address, and the controller its own", () => {
    expect(hostNames(28).slice(24)).toEqual(["y", "z", "h27", "h28"]);
    const plan = planUnderlay("nmx", ["a", "b"], 4, 1_500);
    expect(attachments(plan).map(({ namespace, address }) => [namespace, address])).toEqual([
      ["nmx-ctl", "192.0.2.250"],
      ["nmx-a", "192.0.2.1"],
      ["nmx-b", "192.0.2.2"],
    ]);
    expect(planUnderlay("nmx", ["a"], 6, 1_500).hosts[0]).toMatchObject({ address: "2001:db8::1", prefixLength: 64 });
  });

  test.each([
    ["more hosts than addresses", hostNames(250)],
    ["the same name twice", ["a", "a"]],
    ["a name with a slash", ["../x"]],
    ["the controller's name", ["ctl"]],
  ])("refuses %s", (_what, names) => {
    expect(() => planUnderlay("nmx", names, 4, 1_500)).toThrow(RangeError);
  });
});

describe("waiting", () => {
  test("returns the value that satisfied the condition", async () => {
    let looks = 0;
    expect(await waitFor(() => ++looks === 3 && "found", { what: "the third look", everyMs: 1 })).toBe("found");
  });

  test("fails with the condition and the last value seen", async () => {
    const options = { what: "peace", deadlineMs: 5, everyMs: 1 };
    await expect(
      waitUntil(
        () => ({ left: 2 }),
        ({ left }) => left === 0,
        options,
      ),
    ).rejects.toThrow("waited 5 ms for peace; last seen: { left: 2 }");
    await expect(
      waitFor(() => {
        throw new Error("no carrier");
      }, options),
    ).rejects.toThrow("last error: no carrier");
  });
});
