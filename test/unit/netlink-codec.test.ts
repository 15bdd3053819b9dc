import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeAddress, decodeLink, decodePortChange } from "../../node-agent/kernel/codec/link-codec.ts";
import {
  decodeBridgeEntry,
  decodeEntry,
  decodeIdle,
  decodeMiss,
  decodeNeighbourMessage,
  decodePlace,
  decodePortEntry,
  encodeEntry,
  RTM_NEWNEIGH,
} from "../../node-agent/kernel/codec/neighbour-codec.ts";
import {
  attribute,
  be16,
  be32,
  decodeAcknowledgement,
  encodeMessage,
  nested,
  parseAttributes,
  readBe16,
  readText,
  readU16,
  readU32,
  seqOf,
  splitMessages,
  surveyMessages,
  text,
  u8,
  u16,
  u32,
} from "../../node-agent/kernel/codec/netlink-codec.ts";
import { decodeDropping } from "../../node-agent/kernel/filters/forward-chains.ts";
import type { ActualEntry, Entry } from "../../node-agent/tables/entry.ts";
import { mac, someEntries, vni } from "../support/addresses.ts";
import { captured } from "../support/captured.ts";
import { runs } from "../support/property-runs.ts";

const device = { ifindex: 3, bridgeIfindex: 2, vni: vni(100), vtepPort: 4789 };
const vniOf = (ifindex: number) => (ifindex === device.ifindex ? device.vni : undefined);
const bytes = (hex: string): Buffer => Buffer.from(hex, "hex");
const hexText = (buffer: Buffer): string => buffer.toString("hex");

function missIn(datagram: Buffer) {
  return splitMessages(datagram).flatMap((message) => {
    const neighbour = decodeNeighbourMessage(message);
    return (neighbour && decodeMiss(neighbour, vniOf)) ?? [];
  });
}

function actualIn(datagram: Buffer): ActualEntry[] {
  return splitMessages(datagram).flatMap((message) => {
    const neighbour = decodeNeighbourMessage(message);
    return (neighbour && decodeEntry(neighbour, device)) ?? [];
  });
}

const entriesIn = (datagram: Buffer): Entry[] => actualIn(datagram).flatMap(({ entry, own }) => (own ? entry : []));

describe("captured misses", () => {
  test.each([
    ["l3miss4", { kind: "l3miss", vni: 100, ip: "10.20.1.1" }],
    ["l3miss6", { kind: "l3miss", vni: 100, ip: "fd00:20::1" }],
    ["l2miss", { kind: "l2miss", vni: 100, mac: "52:54:00:00:00:02" }],
  ] as const)("%s is decoded", (name, miss) => {
    expect(missIn(bytes(captured[name]))).toEqual([miss]);
  });

  test("a probe of the host's own stack is not a miss", () => {
    expect(missIn(bytes(captured.hostProbe))).toEqual([]);
  });

  test("a change of an entry is not a miss", () => {
    expect(missIn(bytes(captured.tunnel + captured.neighbour + captured.bridge))).toEqual([]);
  });

  test("a miss on a foreign device is ignored", () => {
    const other = bytes(captured.l3miss4);
    other.writeInt32LE(99, 16 + 4);
    expect(missIn(other)).toEqual([]);
  });

  test("a miss for an address that no interface can have is ignored", () => {
    const multicast = bytes(captured.l2miss);
    multicast.writeUInt8(0x33, 16 + 12 + 4);
    expect(missIn(multicast)).toEqual([]);
    const unspecified = bytes(captured.l3miss4);
    unspecified.writeUInt32LE(0, 16 + 12 + 4);
    expect(missIn(unspecified)).toEqual([]);
  });
});

describe("captured entries", () => {
  test.each([
    ["neighbour", { kind: "neighbour", vni: 100, ip: "10.20.1.1", mac: "52:54:00:00:00:01" }],
    ["tunnel", { kind: "tunnel", vni: 100, mac: "52:54:00:00:00:01", vtep: "192.0.2.1", vtepPort: 4789 }],
    [
      "tunnelToRouter",
      { kind: "tunnel", vni: 100, mac: "52:54:00:00:00:03", vtep: "192.0.2.3", vtepPort: 8472, router: true },
    ],
    ["bridge", { kind: "bridge", vni: 100, mac: "52:54:00:00:00:01" }],
  ] as const)("%s is decoded as ours", (name, entry) => {
    expect(entriesIn(bytes(captured[name]))).toEqual([entry]);
  });

  test("entries that the bridge learned, and neighbours without our tag, are not ours", () => {
    expect(entriesIn(bytes(captured.bridgeLearned))).toEqual([]);
    const untagged = bytes(captured.neighbour);
    untagged.writeUInt8(16, untagged.length - 4);
    expect(actualIn(untagged)).toMatchObject([{ own: false }]);
  });

  test("an encoded entry is decoded to itself", () => {
    fc.assert(
      fc.property(someEntries(100), (entries) => {
        const datagram = entries.map((entry) => encodeMessage(RTM_NEWNEIGH, 0, 1, encodeEntry(entry, device.ifindex)));
        expect(entriesIn(Buffer.concat(datagram))).toEqual(entries);
      }),
    );
  });
});

describe("acknowledgements", () => {
  const error = (errno: number, flags: number, ...tail: Buffer[]): Buffer => {
    const request = encodeMessage(RTM_NEWNEIGH, 0, 7, Buffer.alloc(12));
    const code = Buffer.alloc(4);
    code.writeInt32LE(-errno);
    return encodeMessage(2, flags, 7, Buffer.concat([code, request, ...tail]));
  };

  test("0 is success; an error comes with the kernel's text", () => {
    const [ok, refused] = splitMessages(
      Buffer.concat([error(0, 0), error(22, 0x200, attribute(1, text("invalid address")))]),
    ).map(decodeAcknowledgement);
    expect(ok).toStrictEqual({ errno: 0 });
    expect(refused).toStrictEqual({ errno: 22, message: "invalid address" });
  });

  test("the kernel's words follow the head of the request where its payload is left out", () => {
    const code = Buffer.from("eaffffff", "hex");
    const words = attribute(1, text("no"));
    const head = encodeMessage(RTM_NEWNEIGH, 0, 7, Buffer.alloc(12)).subarray(0, 16);
    const capped = { type: 2, flags: 0x300, seq: 7, payload: Buffer.concat([code, head, words]) };
    expect(decodeAcknowledgement(capped)).toStrictEqual({ errno: 22, message: "no" });
    expect(decodeAcknowledgement({ ...capped, payload: Buffer.concat([code, head]) })).toStrictEqual({ errno: 22 });
  });

  test("words that are not announced are not read", () => {
    const [silent] = splitMessages(error(22, 0, attribute(1, text("no")))).map(decodeAcknowledgement);
    expect(silent).toStrictEqual({ errno: 22 });
  });

  test("another message, or one without the request's head, is none", () => {
    const whole = { type: 2, flags: 0, seq: 7, payload: Buffer.alloc(20) };
    expect(decodeAcknowledgement(whole)).toStrictEqual({ errno: 0 });
    expect(decodeAcknowledgement({ ...whole, type: 3 })).toBeUndefined();
    expect(decodeAcknowledgement({ ...whole, payload: Buffer.alloc(19) })).toBeUndefined();
  });
});

describe("attributes", () => {
  test("nested ones lose the flag in their type, the last of a type wins", () => {
    const parsed = parseAttributes(Buffer.concat([attribute(1, text("a")), attribute(1, text("b")), nested(2)]));
    expect([...parsed]).toEqual([
      [1, Buffer.from("b\0")],
      [2, Buffer.alloc(0)],
    ]);
  });

  test("are padded to four bytes, which their length does not count", () => {
    expect(attribute(1, Buffer.of(7)).toString("hex")).toBe("0500010007000000");
    expect(nested(2, attribute(1, Buffer.of(7))).toString("hex")).toBe("0c0002800500010007000000");
  });

  test.each([
    ["a tail shorter than a head", "05000100070000000400", [1]],
    ["a length below that of the head", "050001000700000003000200", [1]],
    ["a value that ends beyond the bytes", "050001000700000009000200ffffffff", [1]],
    ["nothing after the last value, not even its padding", "0500010007", [1]],
    ["a head without a value", "04000200", [2]],
  ])("with %s are read as far as they are whole", (_, hex, types) => {
    expect([...parseAttributes(bytes(hex)).keys()]).toEqual(types);
  });

  test("have numbers in the host's byte order, or in the network's where the kernel has them so", () => {
    expect([u8(0xab), u16(0x1234), u32(0x1234_5678), be16(0x1234), be32(0x1234_5678), be32(-1)].map(hexText)).toEqual([
      "ab",
      "3412",
      "78563412",
      "1234",
      "12345678",
      "ffffffff",
    ]);
    expect(be32(0xffff_fff2).toString("hex")).toBe("fffffff2");
    expect([readU16(bytes("3412")), readU32(bytes("78563412")), readBe16(bytes("1234"))]).toEqual([
      0x1234, 0x1234_5678, 0x1234,
    ]);
  });

  test("that are too short for their number, or absent, have none", () => {
    for (const read of [readU16, readBe16])
      expect([read(bytes("34")), read(undefined)]).toEqual([undefined, undefined]);
    expect([readU32(bytes("785634")), readU32(undefined)]).toEqual([undefined, undefined]);
  });

  test("have text up to its NUL", () => {
    expect(readText(Buffer.from("eth0\0\n\0rest"))).toBe("eth0");
    expect(readText(Buffer.from("eth0"))).toBe("eth0");
    expect(readText(undefined)).toBeUndefined();
  });
});

describe("datagrams", () => {
  const one = () => encodeMessage(RTM_NEWNEIGH, 0x305, 7, Buffer.of(1, 2, 3));
  const two = () => encodeMessage(3, 0x10, 0x1234_5678, Buffer.alloc(0));

  test("begin with length, type, flags, number and sender; what follows is padded", () => {
    expect(one().toString("hex")).toBe("130000001c0005030700000000000000" + "01020300");
  });

  test("are split into their messages, and surveyed without", () => {
    const both = Buffer.concat([one(), two()]);
    expect(splitMessages(both)).toEqual([
      { type: RTM_NEWNEIGH, flags: 0x305, seq: 7, payload: Buffer.of(1, 2, 3) },
      { type: 3, flags: 0x10, seq: 0x1234_5678, payload: Buffer.alloc(0) },
    ]);
    expect(surveyMessages(both)).toEqual({ types: new Set([RTM_NEWNEIGH, 3]), flags: 0x315 });
    expect(surveyMessages(Buffer.concat([one(), one()]))).toEqual({ types: new Set([RTM_NEWNEIGH]), flags: 0x305 });
  });

  test.each([
    ["a message that is cut short", bytes("100000000300100078563412000000")],
    ["one whose length is below that of its head", bytes("0f00000003000000000000000000000000000000")],
    ["one that ends beyond the datagram", bytes("1500000003000000000000000000000000000000")],
  ])("with %s are read up to there", (_, tail) => {
    expect(splitMessages(Buffer.concat([one(), tail]))).toHaveLength(1);
    expect(surveyMessages(Buffer.concat([one(), tail])).types).toEqual(new Set([RTM_NEWNEIGH]));
  });

  test("name the request that they answer", () => {
    expect(seqOf(two())).toBe(0x1234_5678);
    expect(seqOf(two().subarray(0, 15))).toBe(0);
  });
});

describe("mutated bytes", () => {
  const seeds = Object.values(captured).map(bytes);
  const mutation = fc.record({
    seed: fc.constantFrom(...seeds),
    edits: fc.array(fc.tuple(fc.nat(127), fc.nat(255)), { maxLength: 8 }),
    cut: fc.nat(128),
    tail: fc.uint8Array({ maxLength: 32 }),
  });

  /** By every decoder, regardless of its type of message. */
  function decodeAll(datagram: Buffer): void {
    entriesIn(datagram);
    for (const message of splitMessages(datagram)) {
      const neighbour = decodeNeighbourMessage(message);
      if (neighbour) {
        decodePlace(neighbour, device);
        decodeBridgeEntry(neighbour);
        decodePortEntry(neighbour, device.ifindex);
        decodeIdle(neighbour);
      }
      decodeAcknowledgement(message);
      decodeLink({ ...message, type: 16 });
      decodePortChange({ ...message, type: 16 });
      decodeAddress({ ...message, type: 20 });
      decodeDropping(message.payload);
    }
  }

  test("no datagram makes the codec throw, and its results are well formed", () => {
    fc.assert(
      fc.property(mutation, ({ seed, edits, cut, tail }) => {
        const datagram = Buffer.concat([seed.subarray(0, Math.max(0, seed.length - (cut % 32))), tail]);
        for (const [at, value] of edits) if (at < datagram.length) datagram[at] = value;
        for (const miss of missIn(datagram)) {
          expect(miss.vni).toBe(100);
          if (miss.kind === "l2miss") expect(mac(miss.mac)).toBe(miss.mac);
        }
        decodeAll(datagram);
        const messages = splitMessages(datagram);
        expect(surveyMessages(datagram)).toEqual({
          types: new Set(messages.map(({ type }) => type)),
          flags: messages.reduce((flags, message) => flags | message.flags, 0),
        });
      }),
      { numRuns: runs(5_000) },
    );
  });

  /** As captured, with attributes of any length in place of the message's own. */
  const oddAttributes = fc.record({
    seed: fc.constantFrom(...seeds),
    odd: fc.array(fc.tuple(fc.nat(60), fc.uint8Array({ maxLength: 20 }))),
  });

  test("an attribute of any length is skipped or makes its message ignored", () => {
    fc.assert(
      fc.property(oddAttributes, ({ seed, odd }) => {
        for (const { type, flags, seq, payload } of splitMessages(seed)) {
          const ndmsg = payload.subarray(0, 12);
          const tail = odd.map(([attributeType, value]) => attribute(attributeType, Buffer.from(value)));
          decodeAll(encodeMessage(type, flags, seq, Buffer.concat([ndmsg, payload.subarray(12), ...tail])));
          decodeAll(encodeMessage(type, flags, seq, Buffer.concat([ndmsg, ...tail])));
        }
      }),
      { numRuns: runs(2_000) },
    );
  });

  test("a tunnel entry whose port is cut short is ignored", () => {
    const NDA_PORT = 6;
    const [message] = splitMessages(bytes(captured.tunnelToRouter));
    if (!message) throw new Error("no message captured");
    const short = Buffer.concat([message.payload, attribute(NDA_PORT, Buffer.of(0x21))]);
    expect(actualIn(encodeMessage(RTM_NEWNEIGH, 0, 1, message.payload))).toHaveLength(1);
    expect(actualIn(encodeMessage(RTM_NEWNEIGH, 0, 1, short))).toEqual([]);
  });
});
