// The agent's own filters as bytes: rules of nf_tables (include/uapi/linux/netfilter/nf_tables.h) and a classifier of traffic
// control (pkt_cls.h). test/kernel/host-isolation.test.ts proves what they drop.
import { describe, expect, test } from "vitest";
import {
  batchEnds,
  encodeRuleDump,
  encodeTable,
  encodeTableRemoval,
  type NftMatch,
} from "../../node-agent/kernel/codec/nftables-codec.ts";
import { firstReservedGroup, reservedGroupMask } from "../../node-agent/kernel/codec/reserved-groups.ts";
import {
  decodeFilterChange,
  encodeClsact,
  encodeDropDeliveredUp,
  encodeFilterDump,
  isFilter,
} from "../../node-agent/kernel/codec/traffic-control.ts";
import { bodyText, hexOf } from "../support/attribute-text.ts";

const [NEWTABLE, DELTABLE, NEWCHAIN, NEWRULE] = [0xa00, 0xa02, 0xa03, 0xa06];
const [CREATE, APPEND] = [0x400, 0x800];

describe("a table of nf_tables", () => {
  const chain = { name: "guests", hook: 1, priority: -200 };
  const named = `1=${hexOf("nearmiss\0")}`;
  const requests = (drops: readonly (readonly NftMatch[])[]) =>
    encodeTable("bridge", "nearmiss", { ...chain, drops }).map(({ type, flags, payload }) => ({
      type,
      flags,
      body: bodyText(4, payload),
    }));

  test("is replaced in one transaction: made if it is absent, so that it can be deleted, and made anew", () => {
    expect(requests([])).toEqual([
      { type: NEWTABLE, flags: CREATE, body: `07000000 ${named}` },
      { type: DELTABLE, flags: 0, body: `07000000 ${named}` },
      { type: NEWTABLE, flags: CREATE, body: `07000000 ${named}` },
      {
        type: NEWCHAIN,
        flags: CREATE,
        body: `07000000 ${named} 3=${hexOf("guests\0")} 4{1=00000001 2=ffffff38} 5=00000001 7=${hexOf("filter\0")}`,
      },
    ]);
  });

  /** The expressions of a rule, each with its name. */
  const expression = (name: string, data: string) => `1{1=${hexOf(`${name}\0`)} 2{${data}}}`;
  const equal = (hex: string) => expression("cmp", `1=00000001 2=00000000 3{1=${hex}}`);
  const drop = expression("immediate", "1=00000000 2{2{1=00000000}}");

  test.each<[string, NftMatch, string[]]>([
    [
      "a property of the packet",
      { kind: "meta", key: "iifname", equals: Buffer.from("tap1\0") },
      [expression("meta", "1=00000001 2=00000006"), equal(hexOf("tap1\0"))],
    ],
    [
      "bytes of a header",
      { kind: "payload", base: "network", offset: 24, equals: Buffer.of(0xa, 0, 0, 1) },
      [expression("payload", "1=00000001 2=00000001 3=00000018 4=00000004"), equal("0a000001")],
    ],
    [
      "bytes of a header under a mask",
      { kind: "payload", base: "link", offset: 0, equals: Buffer.of(1, 0x80), mask: Buffer.of(0xff, 0xf0) },
      [
        expression("payload", "1=00000001 2=00000000 3=00000000 4=00000002"),
        expression("bitwise", "1=00000001 2=00000001 3=00000002 4{1=fff0} 5{1=0000}"),
        equal("0180"),
      ],
    ],
  ])("drops by %s", (_, match, expressions) => {
    const rule = requests([[match]]).at(-1);
    expect(rule).toEqual({
      type: NEWRULE,
      flags: CREATE | APPEND,
      body: `07000000 ${named} 2=${hexOf("guests\0")} 4{${[...expressions, drop].join(" ")}}`,
    });
  });

  test("has a rule for each list of matches, which drops if all agree", () => {
    const protocol = (value: number): NftMatch => ({ kind: "meta", key: "l4proto", equals: Buffer.of(value) });
    const rules = requests([[protocol(6), protocol(17)], [protocol(1)]]).slice(4);
    const matched = (value: string) => `${expression("meta", "1=00000001 2=00000010")} ${equal(value)}`;
    expect(rules.map(({ body }) => body.split(" 4{")[1])).toEqual([
      `${matched("06")} ${matched("11")} ${drop}}`,
      `${matched("01")} ${drop}}`,
    ]);
  });

  test("is removed although it may be absent, and read, in its family", () => {
    expect(
      encodeTableRemoval("inet", "nearmiss").map(({ type, flags, payload }) => [type, flags, bodyText(4, payload)]),
    ).toEqual([
      [NEWTABLE, CREATE, `01000000 ${named}`],
      [DELTABLE, 0, `01000000 ${named}`],
    ]);
    expect(bodyText(4, encodeRuleDump("arp", "nearmiss"))).toBe(`03000000 ${named}`);
  });

  test("changes between two messages that name the subsystem", () => {
    expect(batchEnds.map(({ type, flags, payload }) => [type, flags, payload.toString("hex")])).toEqual([
      [0x10, 0, "0000000a"],
      [0x11, 0, "0000000a"],
    ]);
  });
});

describe("the groups that a bridge keeps for itself", () => {
  // IEEE 802.1Q, table 8-1.
  test("are the sixteen from 01:80:c2:00:00:00 on", () => {
    expect([firstReservedGroup, reservedGroupMask].map((bytes) => bytes.toString("hex"))).toEqual([
      "0180c2000000",
      "fffffffffff0",
    ]);
  });
});

describe("traffic control", () => {
  /** struct tcmsg on ifindex 3: handle, parent, info, all little-endian. */
  const tcmsg = (handle: string, parent: string, info: string) => `0000000003000000${handle}${parent}${info}`;

  test("of a device begins with a place for classifiers", () => {
    expect(bodyText(20, encodeClsact(3))).toBe(`${tcmsg("0000ffff", "f1ffffff", "00000000")} 1=${hexOf("clsact\0")}`);
  });

  test("drops what the device would deliver to its host: one instruction, as first classifier of all protocols", () => {
    const program = "0600000002000000";
    expect(bodyText(20, encodeDropDeliveredUp(3))).toBe(
      `${tcmsg("01000000", "f2ffffff", "00030100")} 1=${hexOf("bpf\0")} 2{4=0100 5=${program} 8=01000000}`,
    );
  });

  test.each([36, 37, 44, 45])("that a device gets or loses is noticed: message %i", (type) => {
    const payload = encodeClsact(3);
    expect(decodeFilterChange({ type, flags: 0, seq: 0, payload })).toBe(3);
    expect(decodeFilterChange({ type, flags: 0, seq: 0, payload: payload.subarray(0, 20) })).toBe(3);
    expect(decodeFilterChange({ type, flags: 0, seq: 0, payload: payload.subarray(0, 19) })).toBeUndefined();
  });

  test.each([16, 38, 46])("is not what other messages are about: message %i", (type) => {
    expect(decodeFilterChange({ type, flags: 0, seq: 0, payload: encodeClsact(3) })).toBeUndefined();
  });

  test.each([
    ["ingress", "f2ffffff"],
    ["egress", "f3ffffff"],
  ] as const)("is asked for its filters of %s", (way, parent) => {
    expect(bodyText(20, encodeFilterDump(3, way)).trim()).toBe(tcmsg("00000000", parent, "00000000"));
  });

  test("lists filters behind a head without a handle", () => {
    const filter = encodeDropDeliveredUp(3);
    const message = { type: 44, flags: 0, seq: 0, payload: filter };
    expect(isFilter(message)).toBe(true);
    expect(isFilter({ ...message, payload: filter.subarray(0, 20) })).toBe(true);
    expect(isFilter({ ...message, payload: filter.subarray(0, 19) })).toBe(false);
    expect(isFilter({ ...message, type: 45 })).toBe(false);
    expect(isFilter({ ...message, payload: encodeFilterDump(3, "ingress") })).toBe(false);
  });
});
