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
  decodeAcknowledgement,
  encodeMessage,
  nested,
  parseAttributes,
  splitMessages,
  surveyMessages,
  text,
} from "../../node-agent/kernel/codec/netlink-codec.ts";
import { decodeDropping } from "../../node-agent/kernel/filters/forward-chains.ts";
import type { ActualEntry, Entry } from "../../node-agent/tables/entry.ts";
import { mac, someEntries, vni } from "../support/addresses.ts";
import { captured } from "../support/captured.ts";

const device = { ifindex: 3, bridgeIfindex: 2, vni: vni(100), vtepPort: 4789 };
const vniOf = (ifindex: number) => (ifindex === device.ifindex ? device.vni : undefined);
const bytes = (hex: string): Buffer => Buffer.from(hex, "hex");

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
    expect(ok).toEqual({ errno: 0 });
    expect(refused).toEqual({ errno: 22, message: "invalid address" });
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
      { numRuns: 5_000 },
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
      { numRuns: 2_000 },
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
