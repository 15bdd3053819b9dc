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
const nothing = { claims: [], questions: [] };

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
    expect([takeovers.size, takeovers.due(5_000)]).toEqual([0, nothing]);
  });

  test("without an answer is claimed again, as of when it was announced last, and before that the guest is asked", () => {
    const takeovers = new Takeovers();
    heard(takeovers, remote, 0);
    heard(takeovers, remote, 500);
    expect(takeovers.due(999)).toEqual(nothing);
    expect(takeovers.due(1_000)).toEqual({ claims: [{ ...announced, heardMs: 500 }], questions: [] });
    expect(takeovers.due(1_999).claims).toHaveLength(1);
    // The guest may have dropped it since.
    expect(takeovers.due(2_000)).toEqual({ claims: [], questions: [announced] });
    expect(heard(takeovers, remote, 2_001, { announces: false })).toEqual({ ...announced, heardMs: 500 });
  });

  test("of which the guest does not answer is dropped", () => {
    const takeovers = new Takeovers();
    heard(takeovers, remote, 0);
    const asked = [2_000, 2_500, 3_000, 3_500].map((atMs) => takeovers.due(atMs));
    expect(asked).toEqual(Array.from({ length: 4 }, () => ({ claims: [], questions: [announced] })));
    expect([takeovers.due(4_000), takeovers.size]).toEqual([nothing, 0]);
  });

  test("is too old after a minute, though the guest uses it", () => {
    const takeovers = new Takeovers();
    heard(takeovers, remote, 0);
    heard(takeovers, remote, 59_000, { announces: false });
    expect(takeovers.due(59_999).claims).toHaveLength(0);
    expect(takeovers.due(60_000)).toEqual(nothing);
    expect(takeovers.size).toBe(0);
  });

  test("is claimed at once in the next session, where the last one ended before the answer", () => {
    const takeovers = new Takeovers();
    heard(takeovers, remote, 0);
    takeovers.closed();
    expect(takeovers.due(1)).toEqual({ claims: [{ ...announced, heardMs: 0 }], questions: [] });
  });

  test("that is refused is not claimed for a second", () => {
    const takeovers = new Takeovers();
    const claim = heard(takeovers, remote, 0);
    if (claim) takeovers.answered(claim, false, 10);
    expect([heard(takeovers, remote, 1_009), takeovers.due(1_009)]).toEqual([undefined, nothing]);
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
  const used = { announces: false };

  test("is claimed at once where no guest has it", () => {
    expect(heard(new Takeovers(), absent, 0, used)).toMatchObject(used);
    expect(heard(new Takeovers(), undefined, 0, used)).toMatchObject(used);
  });

  test.each([
    ["a guest of another host", remote],
    ["another guest here", { ...here, mac: mac("52:54:00:00:00:09") }],
  ])("and that %s has is claimed where the guest still uses it after a while", (_, fact) => {
    const takeovers = new Takeovers();
    for (const atMs of [0, 1_499]) expect(heard(takeovers, fact, atMs, used)).toBeUndefined();
    expect(takeovers.due(1_499)).toEqual(nothing);
    expect(takeovers.due(1_500)).toEqual({ claims: [], questions: [{ ...announced, ...used }] });
    expect(heard(takeovers, fact, 1_501, used)).toEqual({ ...announced, ...used, heardMs: 1_501 });
    // The controller asks the guest that has it, which takes a second.
    expect([heard(takeovers, fact, 5_500, used), takeovers.due(5_500)]).toEqual([undefined, nothing]);
    expect(heard(takeovers, fact, 5_501, used)).toBeDefined();
  });

  test("once, and not since another guest took it, is not claimed", () => {
    const takeovers = new Takeovers();
    heard(takeovers, remote, 0, used);
    for (const atMs of [1_500, 2_000, 2_500, 3_000]) expect(takeovers.due(atMs).questions).toHaveLength(1);
    expect([takeovers.due(3_500), takeovers.size]).toEqual([nothing, 0]);
  });

  test("and refused is not claimed for five seconds, unless it is announced", () => {
    const takeovers = new Takeovers();
    const claim = heard(takeovers, absent, 0, used);
    if (claim) takeovers.answered(claim, false, 0);
    expect(heard(takeovers, absent, 4_999, used)).toBeUndefined();
    expect(heard(takeovers, absent, 4_999)).toMatchObject({ announces: true });
    const other = new Takeovers();
    if (claim) other.answered(claim, false, 0);
    expect(heard(other, absent, 5_000, used)).toBeDefined();
  });

  test("by a guest that is being migrated here with it is not claimed", () => {
    const takeovers = new Takeovers();
    for (const atMs of [0, 2_000])
      expect(heard(takeovers, { ...remote, mac: announced.mac }, atMs, used)).toBeUndefined();
    expect(takeovers.size).toBe(0);
  });

  test("is claimed as announced when it is announced after all, and stays so", () => {
    const takeovers = new Takeovers();
    heard(takeovers, absent, 0, used);
    expect(heard(takeovers, absent, 1)).toMatchObject({ announces: true });
    expect(heard(takeovers, absent, 2, used)).toBeUndefined();
    expect(takeovers.due(1_001).claims).toMatchObject([{ announces: true, heardMs: 1 }]);
  });
});

test("pending claims are bounded: the oldest is dropped", () => {
  const takeovers = new Takeovers();
  for (let n = 0; n <= maxPending; n++)
    heard(takeovers, remote, 0, { ip: ip(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`) });
  expect(takeovers.size).toBe(maxPending);
  expect(takeovers.due(1_000).claims.some((claim) => claim.ip === "10.0.0.0")).toBe(false);
});
