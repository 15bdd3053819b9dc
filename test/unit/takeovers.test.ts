// Which announcements of guests become claims, and when they are made again.
import { describe, expect, test } from "vitest";
import type { HeldFact } from "../../node-agent/tables/held-network.ts";
import { type Announced, type Claim, maxPending, Takeovers } from "../../node-agent/tables/takeovers.ts";
import { ip, mac, rev, vni, vtep } from "../support/addresses.ts";

const announced: Announced = {
  vni: vni(100),
  mac: mac("52:54:00:00:00:01"),
  ip: ip("10.20.1.100"),
  port: "tap0",
  announces: true,
};
const key = { kind: "ip", vni: announced.vni, ip: announced.ip } as const;
const remote: HeldFact = {
  key,
  revision: rev(1),
  sinceMs: 0,
  mac: mac("52:54:00:00:00:02"),
  kind: "remote",
  vtep: vtep("192.0.2.2"),
  vtepPort: 4789,
};
const here: HeldFact = { key, revision: rev(1), sinceMs: 0, mac: announced.mac, kind: "local" };
const absent: HeldFact = { key, revision: rev(1), sinceMs: 0, kind: "absent" };

function heard(
  takeovers: Takeovers,
  fact: HeldFact | undefined,
  atMs: number,
  more: Partial<Announced> = {},
): Claim | undefined {
  const claim = takeovers.heard({ ...announced, ...more }, fact, atMs);
  if (claim) takeovers.sent(claim, atMs);
  return claim;
}

describe("an announced address", () => {
  test.each([
    ["of another host's guest", remote],
    ["of another guest here", { ...here, mac: mac("52:54:00:00:00:09") }],
    ["that no guest has", absent],
    ["of which nothing is cached", undefined],
  ] as const)("%s is claimed once, however often it is announced", (_, fact) => {
    const takeovers = new Takeovers();
    expect(heard(takeovers, fact, 0)).toEqual({ ...announced, heardMs: 0 });
    for (const atMs of [1, 10, 999]) expect(heard(takeovers, fact, atMs)).toBeUndefined();
  });

  test("that the guest has already is not claimed, and a pending claim of it ends", () => {
    const takeovers = new Takeovers();
    heard(takeovers, remote, 0);
    expect(heard(takeovers, here, 1)).toBeUndefined();
    expect([takeovers.size, takeovers.due(5_000)]).toEqual([0, []]);
  });

  test("without an answer is claimed again, as of when it was heard last, until it is too old", () => {
    const takeovers = new Takeovers();
    heard(takeovers, remote, 0);
    heard(takeovers, remote, 500);
    expect(takeovers.due(999)).toEqual([]);
    expect(takeovers.due(1_000)).toEqual([{ ...announced, heardMs: 500 }]);
    expect(takeovers.due(60_499)).toHaveLength(1);
    expect([takeovers.due(60_500), takeovers.size]).toEqual([[], 0]);
  });

  test("is claimed at once in the next session, where the last one ended before the answer", () => {
    const takeovers = new Takeovers();
    heard(takeovers, remote, 0);
    takeovers.closed();
    expect(takeovers.due(1)).toEqual([{ ...announced, heardMs: 0 }]);
  });

  test("that is refused is not claimed for a second", () => {
    const takeovers = new Takeovers();
    const claim = heard(takeovers, remote, 0);
    if (claim) takeovers.answered(claim, false, 10);
    expect([heard(takeovers, remote, 1_009), takeovers.due(1_009)]).toEqual([undefined, []]);
    expect(heard(takeovers, remote, 1_010)).toBeDefined();
  });

  test("that is granted is claimed again when it was lost again", () => {
    const takeovers = new Takeovers();
    const claim = heard(takeovers, remote, 0);
    if (claim) takeovers.answered(claim, true, 10);
    expect(heard(takeovers, remote, 11)).toBeDefined();
  });
});

describe("an address that is only used", () => {
  test("is claimed where no guest has it, and not where another guest has it", () => {
    const used = { announces: false };
    expect(heard(new Takeovers(), absent, 0, used)).toMatchObject(used);
    expect(heard(new Takeovers(), undefined, 0, used)).toMatchObject(used);
    expect(heard(new Takeovers(), remote, 0, used)).toBeUndefined();
    expect(heard(new Takeovers(), { ...here, mac: mac("52:54:00:00:00:09") }, 0, used)).toBeUndefined();
  });

  test("is claimed as announced when it is announced after all, and stays so", () => {
    const takeovers = new Takeovers();
    heard(takeovers, absent, 0, { announces: false });
    expect(heard(takeovers, absent, 1)).toMatchObject({ announces: true });
    expect(heard(takeovers, absent, 2, { announces: false })).toBeUndefined();
    expect(takeovers.due(1_001)).toMatchObject([{ announces: true }]);
  });
});

test("pending claims are bounded: the oldest is dropped", () => {
  const takeovers = new Takeovers();
  for (let n = 0; n <= maxPending; n++)
    heard(takeovers, remote, 0, { ip: ip(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`) });
  expect(takeovers.size).toBe(maxPending);
  expect(takeovers.due(1_000).some((claim) => claim.ip === "10.0.0.0")).toBe(false);
});
