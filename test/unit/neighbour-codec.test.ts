// What a message about neighbours and FDB entries means for the agent, field by field, and its requests. Numbers stand as in
// include/uapi/linux/neighbour.h; netlink-codec.test.ts has messages as a kernel sent them.
import { describe, expect, test } from "vitest";
import {
  decodeBridgeEntry,
  decodeEntry,
  decodeHeardAgo,
  decodeIdle,
  decodeMiss,
  decodeNeighbourMessage,
  decodePlace,
  decodePortEntry,
  encodeEntry,
  encodeFdbDump,
  encodeNeighbourDump,
  encodePin,
  encodePlace,
  encodePortLookUp,
  encodeUnpin,
  familyNumber,
  findHiding,
  type NeighbourMessage,
} from "../../node-agent/kernel/codec/neighbour-codec.ts";
import { broadcastMac } from "../../node-agent/tables/entry.ts";
import { ipToBytes, macToBytes } from "../../schema/address/index.ts";
import { ip, mac, vni, vtep } from "../support/addresses.ts";
import { bodyText } from "../support/attribute-text.ts";

const [RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH] = [28, 29, 30] as const;
const [AF_INET, AF_BRIDGE, AF_INET6] = [2, 7, 10] as const;
const [NUD_REACHABLE, NUD_STALE, NUD_NOARP, NUD_PERMANENT] = [0x02, 0x04, 0x40, 0x80] as const;
const [NTF_SELF, NTF_MASTER, NTF_EXT_LEARNED, NTF_ROUTER] = [0x02, 0x04, 0x10, 0x80] as const;
const [NDA_DST, NDA_LLADDR, NDA_CACHEINFO, NDA_PORT, NDA_MASTER, NDA_PROTOCOL] = [1, 2, 3, 6, 9, 12] as const;
const [NDA_VNI, NDA_IFINDEX] = [7, 8] as const;

const device = { ifindex: 3, bridgeIfindex: 2, vni: vni(100), vtepPort: 4789 };
const guest = mac("52:54:00:00:00:01");
const lladdr = [NDA_LLADDR, macToBytes(guest)] as const;
const dst = (address: string) => [NDA_DST, ipToBytes(ip(address))] as const;

function neighbour(
  head: Partial<Omit<NeighbourMessage, "attributes">>,
  ...attributes: (readonly [number, Buffer])[]
): NeighbourMessage {
  const defaults = { type: RTM_NEWNEIGH, family: AF_INET, ifindex: device.ifindex, state: NUD_REACHABLE, flags: 0 };
  return { ...defaults, ...head, attributes: new Map(attributes) };
}
const fdb = (head: Partial<Omit<NeighbourMessage, "attributes">>, ...attributes: (readonly [number, Buffer])[]) =>
  neighbour({ family: AF_BRIDGE, ...head }, ...attributes);

describe("a message about neighbours", () => {
  const payload = Buffer.from("0a00000005000000040092000a000200525400000001", "hex");
  const read = (type: number, bytes = payload) => decodeNeighbourMessage({ type, flags: 0, seq: 0, payload: bytes });

  test.each([RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH])(
    "of type %i has family, device, state, flags and attributes",
    (type) => {
      expect(read(type)).toEqual({
        type,
        family: AF_INET6,
        ifindex: 5,
        state: NUD_STALE,
        flags: 0x92,
        attributes: new Map([lladdr]),
      });
    },
  );

  test("may end with its head", () => {
    expect(read(RTM_NEWNEIGH, payload.subarray(0, 12))?.attributes.size).toBe(0);
  });

  test.each([
    [27, payload],
    [31, payload],
    [RTM_NEWNEIGH, payload.subarray(0, 11)],
  ])("is none of type %i, or where it is cut short", (type, bytes) => {
    expect(read(type, bytes)).toBeUndefined();
  });
});

describe("a miss", () => {
  const miss = { type: RTM_GETNEIGH, state: NUD_STALE };
  const vniOf = (ifindex: number) => (ifindex === device.ifindex ? device.vni : undefined);

  test("asks for the MAC of an address, or for the VTEP of a MAC", () => {
    expect(decodeMiss(neighbour(miss, dst("10.0.0.1"), lladdr), vniOf)).toEqual({
      kind: "l3miss",
      vni: 100,
      ip: "10.0.0.1",
    });
    expect(decodeMiss(neighbour(miss, lladdr), vniOf)).toEqual({ kind: "l2miss", vni: 100, mac: guest });
  });

  test.each([
    ["an entry that changes", neighbour({ ...miss, type: RTM_NEWNEIGH }, lladdr)],
    ["a probe of the host's own stack", neighbour({ ...miss, state: 1 }, lladdr)],
    ["a miss on another device", neighbour({ ...miss, ifindex: 9 }, lladdr)],
    ["a miss of nothing", neighbour(miss)],
    ["a miss of an address of odd length", neighbour(miss, [NDA_DST, Buffer.alloc(3, 1)])],
  ])("is not %s", (_, message) => {
    expect(decodeMiss(message, vniOf)).toBeUndefined();
  });
});

describe("an entry on the device", () => {
  const neighbourEntry = { kind: "neighbour", vni: 100, ip: "10.0.0.1", mac: guest };
  const own = [NDA_PROTOCOL, Buffer.of(78)] as const;

  test("is a neighbour, ours by its protocol, lasting by its state", () => {
    const read = (state: number, ...more: (readonly [number, Buffer])[]) =>
      decodeEntry(neighbour({ state }, dst("10.0.0.1"), lladdr, ...more), device);
    expect(read(NUD_PERMANENT, own)).toEqual({ entry: neighbourEntry, own: true, lasting: true });
    expect(read(NUD_NOARP, own)).toEqual({ entry: neighbourEntry, own: true, lasting: true });
    expect(read(NUD_REACHABLE, own)).toEqual({ entry: neighbourEntry, own: true, lasting: false });
    expect(read(NUD_REACHABLE, [NDA_PROTOCOL, Buffer.of(16)])).toEqual({
      entry: neighbourEntry,
      own: false,
      lasting: false,
    });
    expect(read(NUD_REACHABLE)).toEqual({ entry: neighbourEntry, own: false, lasting: false });
  });

  test("is a bridge entry: what is ours does not age, whatever its state says", () => {
    const entry = { kind: "bridge", vni: 100, mac: guest };
    const read = (flags: number, state: number) => decodeEntry(fdb({ flags, state }, lladdr), device);
    expect(read(NTF_EXT_LEARNED, NUD_REACHABLE)).toEqual({ entry, own: true, lasting: true });
    expect(read(0, NUD_NOARP)).toEqual({ entry, own: false, lasting: true });
    expect(read(0, NUD_REACHABLE)).toEqual({ entry, own: false, lasting: false });
  });

  test("is a tunnel entry: its port is the device's unless it names one, its VM a router if it says so", () => {
    const entry = { kind: "tunnel", vni: 100, mac: guest, vtep: "192.0.2.1", vtepPort: 4789 };
    const read = (flags: number, ...more: (readonly [number, Buffer])[]) =>
      decodeEntry(fdb({ flags: NTF_SELF | flags, state: NUD_PERMANENT }, lladdr, dst("192.0.2.1"), ...more), device);
    expect(read(NTF_EXT_LEARNED)).toEqual({ entry, own: true, lasting: true });
    expect(read(0)).toEqual({ entry, own: false, lasting: true });
    expect(read(NTF_ROUTER)).toEqual({ entry: { ...entry, router: true }, own: false, lasting: true });
    expect(read(0, [NDA_PORT, Buffer.of(0x21, 0x18)])?.entry).toEqual({ ...entry, vtepPort: 8472 });
    expect(read(0, [NDA_PORT, Buffer.of(0x21)])).toBeUndefined();
  });

  test.each([
    ["on another device", neighbour({ ifindex: 9 }, dst("10.0.0.1"), lladdr)],
    ["in a question", neighbour({ type: RTM_GETNEIGH }, dst("10.0.0.1"), lladdr)],
    ["without a MAC", neighbour({}, dst("10.0.0.1"))],
    ["without an address", neighbour({}, lladdr)],
    ["of the tunnel without a VTEP", fdb({ flags: NTF_SELF }, lladdr)],
    ["of the FDB without a MAC", fdb({ flags: NTF_SELF }, dst("192.0.2.1"))],
  ])("is not %s", (_, message) => {
    expect(decodeEntry(message, device)).toBeUndefined();
  });

  test("that was deleted still has its place: a neighbour has lost its MAC by then", () => {
    const deleted = { type: RTM_DELNEIGH };
    expect(decodePlace(neighbour(deleted, dst("10.0.0.1")), device)).toEqual({
      kind: "neighbour",
      vni: 100,
      ip: "10.0.0.1",
    });
    expect(decodePlace(fdb(deleted, lladdr), device)).toEqual({ kind: "bridge", vni: 100, mac: guest });
    expect(decodePlace(fdb({ ...deleted, flags: NTF_SELF }, lladdr), device)).toEqual({
      kind: "tunnel",
      vni: 100,
      mac: guest,
    });
  });
});

describe("an entry of a bridge", () => {
  const master = [NDA_MASTER, Buffer.of(2, 0, 0, 0)] as const;

  test("names its MAC and its bridge", () => {
    expect(decodeBridgeEntry(fdb({}, lladdr, master))).toEqual({ mac: guest, bridgeIfindex: 2 });
  });

  test.each([
    ["of another family", neighbour({}, lladdr, master)],
    ["without a bridge", fdb({}, lladdr)],
    ["without a MAC", fdb({}, master)],
  ])("is not one %s", (_, message) => {
    expect(decodeBridgeEntry(message)).toBeUndefined();
  });

  test("on a port is learned from a frame, or pinned by the agent", () => {
    expect(decodePortEntry(fdb({}, lladdr), 3)).toEqual({ kind: "learned", mac: guest });
    expect(decodePortEntry(fdb({ flags: NTF_EXT_LEARNED, state: NUD_NOARP }, lladdr), 3)).toEqual({
      kind: "pinned",
      mac: guest,
    });
  });

  test.each([
    ["lasting: the port's own address, or an operator's", fdb({ state: NUD_PERMANENT }, lladdr)],
    ["static", fdb({ state: NUD_NOARP }, lladdr)],
    ["on another port", fdb({ ifindex: 9 }, lladdr)],
    ["of the device, not the bridge", fdb({ flags: NTF_SELF }, lladdr)],
    ["of the device and ours", fdb({ flags: NTF_SELF | NTF_EXT_LEARNED }, lladdr)],
    ["a neighbour", neighbour({}, lladdr)],
    ["without a MAC", fdb({})],
  ])("is neither where it is %s", (_, message) => {
    expect(decodePortEntry(message, 3)).toBeUndefined();
  });
});

describe("the age of a tunnel entry", () => {
  const ages = [NDA_CACHEINFO, Buffer.from("0100000007000000", "hex")] as const;

  test("is when it was used last, in ticks of 10 ms, not when it was written", () => {
    expect(decodeIdle(fdb({ flags: NTF_SELF }, lladdr, ages))).toEqual({ mac: guest, idleMs: 70 });
  });

  test.each([
    ["of another family", neighbour({ flags: NTF_SELF }, lladdr, ages)],
    ["of the bridge", fdb({ flags: NTF_MASTER }, lladdr, ages)],
    ["without a MAC", fdb({ flags: NTF_SELF }, ages)],
    ["without ages", fdb({ flags: NTF_SELF }, lladdr)],
    ["with ages cut short", fdb({ flags: NTF_SELF }, lladdr, [NDA_CACHEINFO, Buffer.alloc(7)])],
  ])("is unknown in an entry %s", (_, message) => {
    expect(decodeIdle(message)).toBeUndefined();
  });
});

describe("an entry for broadcasts", () => {
  const all = [NDA_LLADDR, Buffer.alloc(6, 0xff)] as const;
  const flags = NTF_SELF | NTF_EXT_LEARNED;
  const entry = { kind: "broadcast", vni: device.vni, mac: broadcastMac, vtep: "192.0.2.1", vtepPort: 4789 };
  const read = (...more: (readonly [number, Buffer])[]) =>
    decodeEntry(fdb({ flags, state: NUD_PERMANENT }, all, ...more), device);

  test("is one of its destination, ours by the mark of the list", () => {
    expect(read(dst("192.0.2.1"))).toEqual({ entry, own: true, lasting: true });
    expect(read(dst("192.0.2.1"), [NDA_PORT, Buffer.of(0x12, 0xb6)])).toMatchObject({ entry: { vtepPort: 4790 } });
    expect(decodeEntry(fdb({ flags: NTF_SELF }, all, dst("192.0.2.1")), device)).toEqual({
      entry,
      own: false,
      lasting: false,
    });
  });

  test("with a VNI or a device of its own is not ours", () => {
    expect(read(dst("192.0.2.1"), [NDA_VNI, Buffer.of(7, 0, 0, 0)])).toEqual({ entry, own: false, lasting: true });
    expect(read(dst("192.0.2.1"), [NDA_IFINDEX, Buffer.of(7, 0, 0, 0)])).toMatchObject({ own: false });
  });

  test("without a destination is none", () => {
    expect(read()).toBeUndefined();
    expect(decodePlace(fdb({ flags }, all), device)).toBeUndefined();
  });

  test("is that of the tunnel alone, at the broadcast address or that of a group", () => {
    expect(decodePlace(fdb({ flags: NTF_MASTER }, all, dst("192.0.2.1")), device)).toBeUndefined();
    const group = Buffer.of(0x01, 0x00, 0x5e, 1, 2, 3);
    const found = decodePlace(fdb({ flags }, [NDA_LLADDR, group], dst("192.0.2.1")), device);
    expect(found).toMatchObject({ kind: "broadcast", mac: "01:00:5e:01:02:03", vtep: "192.0.2.1" });
    for (const bytes of [Buffer.alloc(5, 0xff), Buffer.alloc(7, 0xff)])
      expect(decodePlace(fdb({ flags }, [NDA_LLADDR, bytes], dst("192.0.2.1")), device)).toBeUndefined();
    expect(decodePlace(fdb({ flags }, lladdr, dst("192.0.2.1")), device)).toMatchObject({ kind: "tunnel" });
  });
});

describe("an entry of another program that hides misses", () => {
  const zeros = [NDA_LLADDR, Buffer.alloc(6)] as const;

  test("is one of all zeros in the tunnel", () => {
    expect(findHiding(fdb({ flags: NTF_SELF }, zeros))).toBe("flood");
    expect(findHiding(fdb({ flags: NTF_MASTER }, zeros))).toBeUndefined();
    expect(findHiding(fdb({ flags: NTF_SELF }, lladdr))).toBeUndefined();
    expect(findHiding(fdb({ flags: NTF_SELF }))).toBeUndefined();
  });

  test("is a neighbour that is not permanent", () => {
    expect(findHiding(neighbour({ state: NUD_STALE }, dst("10.0.0.1")))).toBe("10.0.0.1");
    for (const state of [NUD_PERMANENT, NUD_NOARP])
      expect(findHiding(neighbour({ state }, dst("10.0.0.1")))).toBeUndefined();
    expect(findHiding(neighbour({ state: NUD_STALE }))).toBeUndefined();
    expect(findHiding(neighbour({ state: NUD_STALE, flags: NTF_SELF }, zeros, dst("10.0.0.1")))).toBe("10.0.0.1");
  });
});

test("a bridge's entry says when its address sent a frame last, in ticks of 10 ms, unless it is cut short", () => {
  const heard = (length: number) =>
    decodeHeardAgo(fdb({}, [NDA_CACHEINFO, Buffer.from("090000000700000005000000", "hex").subarray(0, length)]));
  expect([heard(12), heard(11), decodeHeardAgo(fdb({}))]).toEqual([50, undefined, undefined]);
});

describe("a request", () => {
  /** struct ndmsg of an entry on ifindex 3: family, state, flags. */
  const ndmsg = (family: number, state: number, flags: number, ifindex = 3) =>
    [family, 0, 0, 0, ifindex, 0, 0, 0, state, 0, flags, 0].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const tunnel = { kind: "tunnel", vni: vni(100), mac: guest, vtep: vtep("192.0.2.1"), vtepPort: 4789 } as const;
  const bridge = { kind: "bridge", vni: vni(100), mac: guest } as const;
  const address = { kind: "neighbour", vni: vni(100), ip: ip("10.0.0.1"), mac: guest } as const;

  test.each([
    ["a neighbour", address, `${ndmsg(AF_INET, NUD_PERMANENT, 0)} 1=0a000001 2=525400000001 12=4e`],
    [
      "an IPv6 neighbour",
      { ...address, ip: ip("fd00::1") },
      `${ndmsg(AF_INET6, NUD_PERMANENT, 0)} 1=fd000000000000000000000000000001 2=525400000001 12=4e`,
    ],
    ["a bridge entry", bridge, `${ndmsg(AF_BRIDGE, NUD_NOARP, NTF_MASTER | NTF_EXT_LEARNED)} 2=525400000001`],
    [
      "a tunnel entry",
      tunnel,
      `${ndmsg(AF_BRIDGE, NUD_PERMANENT, NTF_SELF | NTF_EXT_LEARNED)} 2=525400000001 1=c0000201 6=12b5`,
    ],
    [
      "an entry for broadcasts",
      { ...tunnel, kind: "broadcast" as const, mac: broadcastMac },
      `${ndmsg(AF_BRIDGE, NUD_PERMANENT, NTF_SELF | NTF_EXT_LEARNED)} 2=ffffffffffff 1=c0000201 6=12b5`,
    ],
    [
      "a tunnel entry to a router",
      { ...tunnel, router: true as const },
      `${ndmsg(AF_BRIDGE, NUD_PERMANENT, NTF_SELF | NTF_EXT_LEARNED | NTF_ROUTER)} 2=525400000001 1=c0000201 6=12b5`,
    ],
  ])("writes %s", (_, entry, expected) => {
    expect(bodyText(12, encodeEntry(entry, 3))).toBe(expected);
  });

  test("deletes what stands in the place of an entry: for the tunnel any VTEP, for others the entry itself", () => {
    expect(bodyText(12, encodePlace(tunnel, 3))).toBe(
      `${ndmsg(AF_BRIDGE, NUD_PERMANENT, NTF_SELF | NTF_EXT_LEARNED)} 2=525400000001 1=00000000 6=12b5`,
    );
    expect(bodyText(12, encodePlace({ ...tunnel, kind: "broadcast", mac: broadcastMac }, 3))).toBe(
      `${ndmsg(AF_BRIDGE, NUD_PERMANENT, NTF_SELF | NTF_EXT_LEARNED)} 2=ffffffffffff 1=00000000 6=12b5`,
    );
    expect(encodePlace(bridge, 3)).toEqual(encodeEntry(bridge, 3));
    expect(encodePlace(address, 3)).toEqual(encodeEntry(address, 3));
  });

  test("pins a MAC to a port in two steps, static and sticky first, and takes it off", () => {
    const sticky = 0x40;
    expect(bodyText(12, encodePin(3, guest, "held"))).toBe(
      `${ndmsg(AF_BRIDGE, NUD_NOARP, NTF_MASTER | sticky)} 2=525400000001`,
    );
    expect(bodyText(12, encodePin(3, guest, "marked"))).toBe(
      `${ndmsg(AF_BRIDGE, NUD_NOARP, NTF_MASTER | NTF_EXT_LEARNED)} 2=525400000001`,
    );
    expect(bodyText(12, encodeUnpin(3, guest))).toBe(`${ndmsg(AF_BRIDGE, 0, NTF_MASTER)} 2=525400000001`);
  });

  test("reads the neighbours of a device, the FDB of a port, and the port behind a MAC", () => {
    expect(bodyText(12, encodeNeighbourDump(3))).toBe(`${ndmsg(0, 0, 0, 0)} 8=03000000`);
    expect(bodyText(12, encodeFdbDump(3))).toBe(ndmsg(AF_BRIDGE, 0, 0));
    expect(bodyText(12, encodePortLookUp(2, guest))).toBe(`${ndmsg(AF_BRIDGE, 0, 0, 0)} 2=525400000001 9=02000000`);
  });

  test("names the family of an address", () => {
    expect([ip("10.0.0.1"), ip("fd00::1")].map(familyNumber)).toEqual([AF_INET, AF_INET6]);
  });
});
