// tunnel-filter.test.ts compares outcomes with a kernel; here is what rules that cannot be followed do, and iptables' own matches.
import { describe, expect, test } from "vitest";
import {
  attribute,
  be32,
  nested,
  parseAttributes,
  text,
  u16,
  u32,
} from "../../node-agent/kernel/codec/netlink-codec.ts";
import {
  type BaseChain,
  decodeBaseChain,
  decodeDormant,
  decodeElements,
  decodeRule,
  type Expression,
  type Rule,
} from "../../node-agent/kernel/codec/rule-codec.ts";
import { type LoadedTable, RuleMachine, type TunnelPacket } from "../../node-agent/kernel/filters/rule-machine.ts";

const packet: TunnelPacket = {
  direction: "in",
  device: "eth0",
  ifindex: 2,
  family: 4,
  source: Buffer.of(192, 0, 2, 2),
  destination: Buffer.of(192, 0, 2, 1),
  port: 4789,
};

const expression = (name: string, ...data: Buffer[]): Expression => ({
  name,
  data: parseAttributes(Buffer.concat(data)),
});
const number = (type: number, value: number): Buffer => attribute(type, be32(value));
const bytes = (type: number, value: Buffer): Buffer => nested(type, attribute(1, value));
const verdict = (code: number, chain?: string): Expression =>
  expression(
    "immediate",
    number(1, 0),
    nested(2, nested(2, number(1, code), ...(chain === undefined ? [] : [attribute(2, text(chain))]))),
  );
const [drop, accept, jump, goTo, back] = [0, 1, -3, -4, -5] as const;
const match = (name: string, info: Buffer): Expression =>
  expression("match", attribute(1, text(name)), attribute(3, info));
const perhaps = expression("limit");
const base = (drops: boolean): BaseChain => ({
  family: 1,
  table: "f",
  name: "c",
  hook: 1,
  priority: 0,
  drops,
  devices: [],
});
const outcome = (rules: readonly Rule[], { drops = false, others = {} as Record<string, Rule[]>, sets = {} } = {}) => {
  const table: LoadedTable = {
    chains: new Map(Object.entries({ c: rules, ...others })),
    sets: new Map(Object.entries(sets)),
  };
  return new RuleMachine(packet).run(base(drops), table);
};

describe("a rule whose matches are not known", () => {
  test("drops nothing, and leaves it open whether the policy does", () => {
    expect(outcome([[perhaps, verdict(drop)]])).toBe("accept");
    expect(outcome([[perhaps, verdict(drop)]], { drops: true })).toBe("drop");
    expect(outcome([[perhaps, verdict(accept)]], { drops: true })).toBe("unsure");
    expect(outcome([[perhaps, verdict(back)]], { drops: true })).toBe("unsure");
  });

  test("and jumps: what the chain drops is open, and what it accepts", () => {
    const others = { d: [[verdict(drop)]], a: [[verdict(accept)]], e: [] };
    expect(outcome([[perhaps, verdict(jump, "d")]], { others })).toBe("accept");
    expect(outcome([[perhaps, verdict(jump, "a")]], { others, drops: true })).toBe("unsure");
    expect(outcome([[perhaps, verdict(jump, "e")], [verdict(drop)]], { others })).toBe("drop");
  });
});

test("chains return where they end, and goto does not come back", () => {
  const others = { e: [[verdict(back)], [verdict(drop)]] };
  expect(outcome([[verdict(jump, "e")], [verdict(drop)]], { others })).toBe("drop");
  expect(outcome([[verdict(goTo, "e")], [verdict(drop)]], { others })).toBe("accept");
  expect(outcome([[verdict(jump, "gone")]], { drops: true })).toBe("unsure");
  expect(outcome([[verdict(jump, "c")]], { drops: true })).toBe("unsure");
});

test("the state of a connection is new, and untracked after notrack", () => {
  const isState = (mask: number): Rule => [
    expression("ct", number(1, 1), number(2, 0)),
    expression("bitwise", number(1, 1), number(2, 1), number(3, 4), bytes(4, u32(mask)), bytes(5, u32(0))),
    expression("cmp", number(1, 1), number(2, 1), bytes(3, u32(0))),
    verdict(drop),
  ];
  expect(outcome([isState(2 | 4)])).toBe("accept");
  expect(outcome([isState(8)])).toBe("drop");
  expect(outcome([[expression("notrack")], isState(8)])).toBe("accept");
  expect(outcome([[expression("notrack")], isState(64)])).toBe("drop");
});

describe("matches of iptables", () => {
  const udp = (from: number, to: number, invert = 0) =>
    match("udp", Buffer.concat([u16(0), u16(0xffff), u16(from), u16(to), Buffer.of(invert, 0)]));
  const states = (mask: number, invert = 0, flags = 1): Expression => {
    const info = Buffer.alloc(152);
    info.writeUInt16LE(flags, 146);
    info.writeUInt16LE(invert, 148);
    info.writeUInt16LE(mask, 150);
    return match("conntrack", info);
  };
  const ports = (...list: number[]): Expression => {
    const info = Buffer.alloc(48);
    info[0] = 1;
    info[1] = list.length;
    for (const [i, port] of list.entries()) info.writeUInt16LE(port, 2 + 2 * i);
    return match("multiport", info);
  };

  test.each<readonly [string, Expression, string]>([
    ["a range with the port", udp(4_000, 5_000), "drop"],
    ["another range", udp(1, 100), "accept"],
    ["not another range", udp(1, 100, 2), "drop"],
    ["a list with the port", ports(53, 4_789), "drop"],
    ["a list without it", ports(53, 8_472), "accept"],
    ["new", states(8), "drop"],
    ["established", states(2), "accept"],
    ["not established", states(2, 1), "drop"],
    ["also another field", states(8, 0, 3), "accept"],
    ["tcp", match("tcp", Buffer.alloc(32)), "accept"],
    ["a comment", match("comment", Buffer.alloc(256)), "drop"],
    ["one that is not known", match("recent", Buffer.alloc(8)), "accept"],
    ["one that is cut off", match("udp", Buffer.alloc(3)), "accept"],
  ])("%s", (_, matching, expected) => {
    expect(outcome([[matching, verdict(drop)]])).toBe(expected);
  });

  test("REJECT drops, and LOG goes on", () => {
    const target = (name: string) => expression("target", attribute(1, text(name)));
    expect(outcome([[target("REJECT")]])).toBe("drop");
    expect(outcome([[target("LOG"), verdict(drop)]])).toBe("drop");
    expect(outcome([[target("SET")]], { drops: true })).toBe("drop");
  });
});

test("what is truncated or of another family is left out, and never throws", () => {
  const chain = Buffer.concat([
    Buffer.of(1, 0, 0, 0),
    attribute(1, text("f")),
    attribute(3, text("c")),
    nested(4, number(1, 1), number(2, 0)),
    number(5, 0),
  ]);
  expect(decodeBaseChain(chain)).toEqual(base(true));
  expect(decodeBaseChain(Buffer.concat([Buffer.of(3), chain.subarray(1)]))).toBeUndefined();
  for (let length = 0; length < chain.length; length++) {
    expect(() => decodeBaseChain(chain.subarray(0, length))).not.toThrow();
    expect(() => decodeRule(chain.subarray(0, length))).not.toThrow();
    expect(() => decodeElements(chain.subarray(0, length))).not.toThrow();
  }
});

describe("a base chain", () => {
  const chain = (hook: Buffer[], policy = 1) =>
    Buffer.concat([
      Buffer.of(5, 0, 0, 0),
      attribute(1, text("f")),
      attribute(3, text("c")),
      nested(4, number(1, 0), number(2, -10), ...hook),
      number(5, policy),
    ]);

  test("accepts by its policy", () => {
    expect(decodeBaseChain(chain([]))).toMatchObject({ family: 5, hook: 0, priority: -10, drops: false, devices: [] });
  });

  test("of a device has its name, be it one or several", () => {
    expect(decodeBaseChain(chain([attribute(3, text("eth0"))]))).toMatchObject({ devices: ["eth0"] });
    const several = nested(4, attribute(1, text("eth0")), attribute(1, text("eth1")));
    expect(decodeBaseChain(chain([several]))).toMatchObject({ devices: ["eth0", "eth1"] });
  });
});

test("a table is dormant by its flag, whatever else is set", () => {
  const head = Buffer.of(2, 0, 0, 0);
  const table = (...flags: Buffer[]) => decodeDormant(Buffer.concat([head, attribute(1, text("f")), ...flags]));
  expect([table(number(2, 1)), table(number(2, 5)), table(number(2, 4)), table()]).toEqual([
    "2 f",
    "2 f",
    undefined,
    undefined,
  ]);
  for (let length = 0; length <= head.length; length++) expect(decodeDormant(head.subarray(0, length))).toBeUndefined();
  // The kernel's messages have a family at least, and a table has a name.
  expect(decodeDormant(Buffer.concat([head, number(2, 1)]))).toBe("2 ");
});

describe("what the kernel sends", () => {
  const head = Buffer.of(1, 0, 0, 0);
  const parts = [attribute(1, text("f")), attribute(3, text("c")), nested(4, number(1, 1), number(2, 0)), number(5, 0)];

  test.each([
    ["a table", 0],
    ["a name", 1],
    ["a hook", 2],
  ])("about a chain without %s is left out", (_, missing) => {
    expect(decodeBaseChain(Buffer.concat([head, ...parts.filter((_part, i) => i !== missing)]))).toBeUndefined();
  });

  test.each([number(1, 1), number(2, 0)])("about a chain with half a hook is left out", (half) => {
    expect(decodeBaseChain(Buffer.concat([head, ...parts.slice(0, 2), nested(4, half)]))).toBeUndefined();
  });

  const element = (...attributes: Buffer[]): Buffer => nested(1, ...attributes);
  const meta = element(attribute(1, text("meta")), nested(2, number(1, 1), number(2, 4)));
  const counter = element(attribute(1, text("counter")));
  const nameless = element(nested(2, number(1, 7)));
  const numbersOf = (rule: Rule) =>
    rule.map(({ name, data }) => [name, [...data].map(([type, each]) => [type, each.readInt32BE()])]);

  test("as a rule has its expressions in order, each with its attributes", () => {
    expect(numbersOf(decodeRule(Buffer.concat([head, nested(4, meta, counter, nameless)])))).toEqual([
      [
        "meta",
        [
          [1, 1],
          [2, 4],
        ],
      ],
      ["counter", []],
      ["", [[1, 7]]],
    ]);
    for (let length = 0; length <= head.length; length++) expect(decodeRule(head.subarray(0, length))).toEqual([]);
  });

  test("is read up to where a list is cut off", () => {
    const list = Buffer.concat([meta, counter]);
    const read = (bytes: Buffer) => decodeRule(Buffer.concat([head, attribute(4, bytes)])).length;
    expect([read(list), read(list.subarray(0, -4)), read(list.subarray(0, meta.length + 3))]).toEqual([2, 1, 1]);
    expect(read(Buffer.concat([meta, Buffer.of(4, 0, 1, 0)]))).toBe(2);
    expect(read(Buffer.concat([meta, Buffer.of(3, 0, 1, 0), counter]))).toBe(1);
  });

  test("as elements of a set has keys, ends of ranges, and verdicts", () => {
    const key = (value: number) => nested(1, attribute(1, be32(value)));
    const to = (code: number, chain?: string) =>
      nested(2, nested(2, number(1, code), ...(chain === undefined ? [] : [attribute(2, text(chain))])));
    const elements = nested(
      3,
      element(key(5)),
      element(key(9), number(3, 1)),
      element(key(7), to(jump, "x")),
      element(key(8), to(drop), number(3, 2)),
      element(key(6), nested(10, attribute(1, be32(7))), nested(2)),
    );
    expect(decodeElements(Buffer.concat([head, elements]))).toEqual([
      { key: be32(5), ends: false, isRange: false },
      { key: be32(9), ends: true, isRange: false },
      { key: be32(7), ends: false, isRange: false, verdict: { code: jump, chain: "x" } },
      { key: be32(8), ends: false, isRange: false, verdict: { code: drop } },
      { key: be32(6), ends: false, isRange: true },
    ]);
    for (let length = 0; length <= head.length; length++) expect(decodeElements(head.subarray(0, length))).toEqual([]);
  });

  test("as numbers that are cut short is unknown", () => {
    const short = Buffer.concat([head, attribute(1, text("f")), attribute(2, Buffer.of(0, 0, 1))]);
    expect(decodeDormant(short)).toBeUndefined();
  });
});
