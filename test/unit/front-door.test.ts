import { describe, expect, test } from "vitest";
import { isAllowedHost, isAllowedOrigin } from "../../controller/auth/front-door.ts";
import { RefusalLog } from "../../controller/auth/refusals.ts";
import { countedAddress } from "../../controller/peer.ts";

describe("Host", () => {
  test.each([
    "127.0.0.1",
    "192.0.2.1:4788",
    "[::1]:4788",
    "[2001:db8::1]",
    "localhost:1",
    "ctl.example:4788",
    "CTL.example.",
  ])("%s is accepted", (host) => expect(isAllowedHost(host, ["ctl.example"])).toBe(true));

  test.each([
    undefined,
    "",
    "evil.example",
    "evil.example:4788",
    "127.0.0.1.evil.example",
    "ctl.example.evil",
    "ctl.example@evil",
    "[evil.example]",
    "[127.0.0.1]",
    "127.0.0.1:x",
    "a b",
    "127.1",
  ])("%s is refused", (host) => expect(isAllowedHost(host, ["ctl.example"])).toBe(false));
});

describe("Origin", () => {
  test("is absent for a program, and for a browser the controller's own, or an allowed one", () => {
    expect(isAllowedOrigin(undefined, "192.0.2.1:4788", [])).toBe(true);
    expect(isAllowedOrigin("http://192.0.2.1:4788", "192.0.2.1:4788", [])).toBe(true);
    expect(isAllowedOrigin("https://tools.example", "192.0.2.1:4788", ["https://tools.example"])).toBe(true);
  });

  test.each([
    "https://evil.example",
    "http://192.0.2.1:9",
    "null",
    "file://",
    "http://192.0.2.1:4788.evil.example",
    "",
  ])("%j of a page elsewhere is refused", (origin) =>
    expect(isAllowedOrigin(origin, "192.0.2.1:4788", ["https://tools.example"])).toBe(false),
  );
});

test.each([
  ["192.0.2.7", "192.0.2.7"],
  ["::ffff:192.0.2.7", "::ffff:192.0.2.7"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:db8::1", "2001:db8:0:0::/64"],
  ["::1", "0:0:0:0::/64"],
])("%s is counted as %s", (address, counted) => expect(countedAddress(address)).toBe(counted));

test("a flood of refusals is logged in few lines, with their number", () => {
  let nowMs = 0;
  const lines: unknown[] = [];
  const log = new RefusalLog({ warn: (line: unknown) => lines.push(line) }, () => nowMs);
  const refused = { reason: "no token", address: "192.0.2.1", path: "/v1/vms" };
  for (let i = 0; i < 1_000; i++) log.add(refused);
  expect(lines).toHaveLength(10);
  nowMs = 10_000;
  log.add(refused);
  expect(lines.slice(10)).toEqual([{ untold: 990 }, refused]);
});
