import { describe, expect, test } from "vitest";
import {
  compareGuests,
  findConflict,
  type GuestFinding,
  LastingFindings,
  maxUnregistered,
  meaningOf,
  neverSeenMs,
  unregisteredMs,
} from "../../node-agent/tables/local-guests.ts";
import type { GuestPort } from "../../node-agent/tables/port.ts";
import type { MacAddress } from "../../schema/address/index.ts";
import { ip, mac, rev, vni, vtep } from "../support/addresses.ts";

const blue = vni(100);
const one = mac("52:54:00:00:00:01");
const two = mac("52:54:00:00:00:02");
const stranger = mac("52:54:00:00:00:77");
const port = (fields: Partial<GuestPort> = {}): GuestPort => ({
  ifindex: 5,
  name: "tap5",
  carrier: true,
  learning: true,
  flood: true,
  pinned: [],
  learned: [],
  ...fields,
});
const isRemote = (): boolean => false;
const placeOf = (): "absent" => "absent";
const none: ReadonlySet<MacAddress> = new Set();

describe("guests registered here against guests heard here", () => {
  test("a guest that was heard once counts as seen, however silent it is now", () => {
    const seen = {
      vni: blue,
      registered: [{ mac: one }, { mac: two }],
      prepared: [],
      ports: [port()],
      isRemote,
      placeOf,
    };
    expect(compareGuests(seen, new Set([one])).map(({ kind, mac }) => [kind, mac])).toEqual([
      ["guest-never-seen", two],
    ]);
  });

  test.each([
    ["that is on the bridge and has a carrier", port(), undefined],
    ["that is not on the bridge", port({ name: "tap6" }), "its port tap5 is not a port of the bridge"],
    ["without a carrier", port({ carrier: false }), "its port tap5 has no carrier"],
  ])("a guest with a registered port %s", (_, present, detail) => {
    const found = compareGuests(
      { vni: blue, registered: [{ mac: one, port: "tap5" }], prepared: [], ports: [present], isRemote, placeOf },
      none,
    );
    expect(found.map((finding) => finding.detail)).toEqual(detail === undefined ? [] : [detail]);
  });

  test("an unregistered sender is named with its port; a remote VM's address is a theft, not a stranger", () => {
    const ports = [port({ learned: [one, stranger, two] })];
    const seen = {
      vni: blue,
      registered: [{ mac: one }],
      prepared: [],
      ports,
      isRemote: (each: MacAddress) => each === two,
      placeOf,
    };
    expect(compareGuests(seen, new Set([one]))).toEqual([
      {
        kind: "unregistered-guest",
        vni: blue,
        mac: stranger,
        reason: "sends",
        port: "tap5",
        heardAgoMs: 0,
        detail: "it sends on port tap5",
      },
    ]);
  });

  test("a guest that is being migrated here may send, and need not", () => {
    const seen = { vni: blue, registered: [], prepared: [{ mac: one }, { mac: two }], isRemote, placeOf };
    expect(compareGuests({ ...seen, ports: [port({ learned: [one] })] }, none)).toEqual([]);
    expect(compareGuests({ ...seen, prepared: [], ports: [port({ learned: [one] })] }, none)).toHaveLength(1);
  });

  test("a guest that sends from any number of addresses fills no memory", () => {
    const learned = Array.from({ length: 1_000 }, (_, n) =>
      mac(`52:54:00:01:${(n >> 8).toString(16).padStart(2, "0")}:${(n & 255).toString(16).padStart(2, "0")}`),
    );
    expect(
      compareGuests({ vni: blue, registered: [], prepared: [], ports: [port({ learned })], isRemote, placeOf }, none),
    ).toHaveLength(maxUnregistered);
  });
});

describe("findings that persist", () => {
  const finding = (kind: GuestFinding["kind"]): GuestFinding => ({
    kind,
    vni: blue,
    mac: one,
    reason: kind === "guest-never-seen" ? "silent" : "sends",
    detail: "",
  });

  test.each([
    ["guest-never-seen", neverSeenMs],
    ["unregistered-guest", unregisteredMs],
  ] as const)("%s is reported once after its time, and again only if it has ended in between", (kind, ms) => {
    const lasting = new LastingFindings();
    const at = (nowMs: number, ...found: GuestFinding[]): number => lasting.update(blue, found, nowMs).length;
    expect([at(0, finding(kind)), at(ms - 1, finding(kind)), at(ms, finding(kind)), at(ms + 1, finding(kind))]).toEqual(
      [0, 0, 1, 0],
    );
    expect(lasting.list()).toEqual([finding(kind)]);
    expect(at(ms + 2)).toBe(0);
    expect(lasting.list()).toEqual([]);
    expect([at(ms + 3, finding(kind)), at(2 * ms + 3, finding(kind))]).toEqual([0, 1]);
  });

  test("the next one that is due is known, and those that are due already are due now", () => {
    const lasting = new LastingFindings();
    expect(lasting.dueInMs(0)).toBeUndefined();
    lasting.update(blue, [finding("guest-never-seen"), finding("unregistered-guest")], 1_000);
    expect(lasting.dueInMs(1_000)).toBe(unregisteredMs);
    expect(lasting.dueInMs(3_000)).toBe(unregisteredMs - 2_000);
    expect(lasting.dueInMs(1_000_000)).toBe(0);
    lasting.update(blue, [finding("guest-never-seen"), finding("unregistered-guest")], 1_000 + unregisteredMs);
    expect(lasting.dueInMs(1_000 + unregisteredMs)).toBe(neverSeenMs - unregisteredMs);
    lasting.update(blue, [finding("guest-never-seen"), finding("unregistered-guest")], 1_000 + neverSeenMs);
    expect(lasting.dueInMs(1_000 + neverSeenMs)).toBeUndefined();
  });

  test("another network's check ends nothing", () => {
    const lasting = new LastingFindings();
    lasting.update(blue, [finding("unregistered-guest")], 0);
    lasting.update(blue, [finding("unregistered-guest")], unregisteredMs);
    lasting.update(vni(1), [], unregisteredMs + 1);
    expect(lasting.list()).toHaveLength(1);
  });
});

describe("an address that a guest claims", () => {
  const address = ip("10.20.1.2");
  const key = { kind: "ip", vni: blue, ip: address } as const;
  const held = { key, revision: rev(1), sinceMs: 0 } as const;
  const claim = { mac: stranger, ip: address };

  test.each([
    ["a VM of this host", { ...held, kind: "local", mac: one } as const],
    ["a VM of another host", { ...held, kind: "remote", mac: one, vtep: vtep("192.0.2.2"), vtepPort: 4789 } as const],
  ])("is a conflict where it is registered for %s", (whose, known) => {
    const detail = `${stranger} on this host uses 10.20.1.2, which is registered for ${one}, ${whose}`;
    expect(findConflict(blue, claim, known)).toEqual({ kind: "address-conflict", vni: blue, subject: address, detail });
  });

  test.each([
    ["it is unknown", undefined],
    ["the controller does not know it", { ...held, kind: "absent" } as const],
    ["it is registered for that guest", { ...held, kind: "local", mac: stranger } as const],
  ])("is none where %s", (_, known) => {
    expect(findConflict(blue, claim, known)).toBeUndefined();
  });
});

test("findings are described for operators", () => {
  expect(meaningOf).toEqual({
    "guest-never-seen": "a guest that is registered on this host has not been seen",
    "unregistered-guest": "a guest that is not registered on this host sends frames",
  });
  const seen = { vni: blue, registered: [{ mac: one }], prepared: [], ports: [], isRemote: () => false, placeOf };
  expect(compareGuests(seen, new Set())).toEqual([
    {
      kind: "guest-never-seen",
      vni: 100,
      mac: one,
      reason: "silent",
      detail: "it has sent no traffic since it was registered",
    },
  ]);
});
