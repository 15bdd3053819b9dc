// Links and addresses as the kernel sends them, and the agent's requests about them. Numbers stand as in include/uapi/linux/if_link.h,
// if_bridge.h and if_addr.h; test/kernel proves that a kernel takes these requests.
import { describe, expect, test } from "vitest";
import {
  bridgeAttributes,
  encodeWanted,
  guestPortAttributes,
  tunnelPortAttributes,
} from "../../node-agent/kernel/codec/forwarding-attributes.ts";
import { decodeAddress, decodeLink, decodePortChange } from "../../node-agent/kernel/codec/link-codec.ts";
import {
  encodeAddressDump,
  encodeAlias,
  encodeArpOn,
  encodeBridge,
  encodeBridgeSettings,
  encodeLinkDelete,
  encodeLinkDump,
  encodeLinkDumpOfKind,
  encodeLinkGet,
  encodeLinkSettings,
  encodeLinkUp,
  encodeMaster,
  encodeMtu,
  encodePortAttributes,
  encodePortSettings,
  encodeProtocolUp,
  encodeRename,
  encodeSnoopingOff,
  encodeVxlan,
  encodeVxlanChange,
} from "../../node-agent/kernel/codec/link-requests.ts";
import { attribute, nested, text, u8, u16, u32 } from "../../node-agent/kernel/codec/netlink-codec.ts";
import { ipToBytes } from "../../schema/address/index.ts";
import { ip, vni, vtep } from "../support/addresses.ts";
import { bodyText, hexOf } from "../support/attribute-text.ts";

const RTM_NEWLINK = 16;
const RTM_NEWADDR = 20;
const AF_BRIDGE = 7;

interface Head {
  readonly family?: number;
  readonly ifindex?: number;
  readonly flags?: number;
}

/** struct ifinfomsg, then attributes. */
function body({ family = 0, ifindex = 3, flags = 0 }: Head, ...attributes: Buffer[]): Buffer {
  const head = Buffer.alloc(16);
  head.writeUInt8(family, 0);
  head.writeInt32LE(ifindex, 4);
  head.writeUInt32LE(flags, 8);
  return Buffer.concat([head, ...attributes]);
}

const message = (payload: Buffer, type = RTM_NEWLINK) => ({ type, flags: 0, seq: 0, payload });
const name = attribute(3, text("eth0"));
const linkInfo = (kind: string, ...data: Buffer[]) => nested(18, attribute(1, text(kind)), nested(2, ...data));
const decoded = (...attributes: Buffer[]) => decodeLink(message(body({}, name, ...attributes)));
const plain = { ifindex: 3, name: "eth0", up: false, carrier: false, mtu: 0, addressless: false };

describe("a link", () => {
  test("has what its attributes say, and nothing that they do not", () => {
    expect(decoded()).toStrictEqual(plain);
    expect(decoded(attribute(4, u32(1450)), attribute(10, u32(9)), attribute(20, text("note")))).toStrictEqual({
      ...plain,
      mtu: 1450,
      master: 9,
      alias: "note",
    });
    expect(decoded(linkInfo("veth"))).toStrictEqual({ ...plain, kind: "veth" });
  });

  test.each([
    ["down, without a carrier", 0, { up: false, carrier: false }],
    ["up, without a carrier", 1, { up: true, carrier: false }],
    ["down, with a carrier", 0x1_0000, { up: false, carrier: true }],
    ["up, with a carrier", 0x1_0001, { up: true, carrier: true }],
    ["down, with other flags", 0x1002, { up: false, carrier: false }],
  ])("is %s", (_, flags, state) => {
    expect(decodeLink(message(body({ flags }, name)))).toStrictEqual({ ...plain, ...state });
  });

  test.each([
    ["another type", message(body({}, name), 17)],
    ["a bridge's own", message(body({ family: AF_BRIDGE }, name))],
    ["without a name", message(body({}))],
    ["cut short", message(body({}, name).subarray(0, 15))],
    ["empty", message(Buffer.alloc(0))],
  ])("is not in a message that is %s", (_, other) => {
    expect(decodeLink(other)).toBeUndefined();
  });

  test("may have nothing behind its head: then it has no name", () => {
    expect(decodeLink(message(Buffer.alloc(16)))).toBeUndefined();
  });

  test("may be the host's loopback", () => {
    expect(decodeLink(message(body({ flags: 0x8 }, name)))).toStrictEqual({ ...plain, loopback: true });
  });

  test("may be without ARP, down by a protocol, or in the hands of an XDP program", () => {
    expect(decodeLink(message(body({ flags: 0x80 }, name)))).toStrictEqual({ ...plain, noArp: true });
    expect(decoded(attribute(39, u8(1)))).toStrictEqual({ ...plain, protoDown: true });
    expect(decoded(attribute(39, u8(0)))).toStrictEqual(plain);
    expect(decoded(nested(43, attribute(2, u8(1))))).toStrictEqual({ ...plain, xdp: true });
    expect(decoded(nested(43, attribute(2, u8(0))))).toStrictEqual(plain);
  });

  test.each([
    ["vxlan", "noqueue", undefined],
    ["vxlan", "noop", undefined],
    ["vxlan", "tbf", true],
    ["bridge", "tbf", undefined],
  ])("of kind %s with the queueing discipline %s", (kind, qdisc, queued) => {
    expect(decoded(nested(18, attribute(1, text(kind))), attribute(6, text(qdisc)))?.queued).toBe(queued);
  });

  test.each([
    ["macvlan", 7],
    ["vlan", 7],
    ["veth", undefined],
    ["vxlan", undefined],
  ])("of kind %s on another link of this namespace", (kind, on) => {
    const info = nested(18, attribute(1, text(kind)));
    expect(decoded(info, attribute(5, u32(7)))?.on).toBe(on);
    expect(decoded(info)?.on).toBeUndefined();
    // A link of another namespace has a number of its own there.
    expect(decoded(info, attribute(5, u32(7)), attribute(37, u32(0)))?.on).toBeUndefined();
  });

  test("has no automatic address where the mode of IPv6 says none", () => {
    const mode = (value: number) => nested(26, nested(10, attribute(8, u8(value))));
    expect(decoded(mode(1))).toStrictEqual({ ...plain, addressless: true });
    expect(decoded(mode(0))).toStrictEqual(plain);
    // The mode of another family.
    expect(decoded(nested(26, nested(2, attribute(8, u8(1)))))).toStrictEqual(plain);
  });
});

describe("a port of a bridge", () => {
  const port = (kind: string, ...data: Buffer[]) => decoded(nested(18, attribute(4, text(kind)), nested(5, ...data)));

  test("has the bridge's settings of it", () => {
    expect(port("bridge", attribute(8, u8(1)), attribute(9, u8(1)), attribute(31, u16(0xfffd)))).toStrictEqual({
      ...plain,
      portLearning: true,
      portFlood: true,
    });
    const open = port("bridge", attribute(8, u8(1)), attribute(9, u8(1)), attribute(31, u16(0)));
    expect(open).toStrictEqual({ ...plain, portLearning: true, portFlood: true, portOpen: true });
    expect(port("bridge", attribute(8, u8(0)), attribute(9, u8(0)))).toStrictEqual({
      ...plain,
      portLearning: false,
      portFlood: false,
    });
    expect(port("bridge")).toStrictEqual({ ...plain, portLearning: false, portFlood: false });
  });

  test("says what keeps it from forwarding: a tunnel's and a guest's", () => {
    const everything = [...tunnelPortAttributes, ...guestPortAttributes];
    const right = everything.map(encodeWanted);
    const wrong = everything.map((row) => encodeWanted({ ...row, wanted: row.wanted === 0 ? 1 : 0 }));
    const portOf = (kind: string, data: readonly Buffer[]) =>
      decoded(nested(18, attribute(1, text(kind)), attribute(4, text("bridge")), nested(5, ...data)))?.wrongPort?.map(
        (each) => [each.attribute.name, each.value],
      );
    expect(portOf("vxlan", right)).toBeUndefined();
    expect(portOf("veth", right)).toBeUndefined();
    const values = (rows: typeof everything) => rows.map(({ name, wanted }) => [name, wanted === 0 ? 1 : 0]);
    expect(portOf("vxlan", wrong)).toEqual(values([...tunnelPortAttributes]));
    expect(portOf("veth", wrong)).toEqual(values([...guestPortAttributes]));
  });

  test("of another kind of device has none of them", () => {
    expect(port("bond", attribute(8, u8(1)), attribute(9, u8(1)))).toStrictEqual(plain);
  });
});

describe("a bridge", () => {
  const bridge = (...data: Buffer[]) => decoded(linkInfo("bridge", ...data));
  const quiet = { ...plain, kind: "bridge", snooping: false, filters: [] };

  test("has its own settings", () => {
    expect(bridge()).toStrictEqual(quiet);
    const settings = [attribute(5, u32(2)), attribute(9, u16(0xfff8)), attribute(23, u8(1)), attribute(49, u32(8192))];
    expect(bridge(...settings)).toStrictEqual({
      ...quiet,
      snooping: true,
      maxLearned: 8192,
      wrongBridge: [
        { attribute: expect.objectContaining({ name: "mcast_snooping" }), value: 1 },
        { attribute: expect.objectContaining({ name: "stp_state" }), value: 2 },
      ],
    });
    const others = [attribute(7, u8(1)), attribute(4, u32(0)), attribute(9, u16(8)), attribute(49, u32(0))];
    expect(bridge(...others)?.wrongBridge?.map(({ attribute: { name }, value }) => [name, value])).toEqual([
      ["vlan_filtering", 1],
      ["ageing_time", 0],
      ["group_fwd_mask", 8],
      ["fdb_max_learned", 0],
    ]);
    expect(bridge(attribute(5, u32(0)), attribute(23, u8(0)), attribute(4, u32(100)))).toStrictEqual(quiet);
  });

  test.each([
    [36, "iptables"],
    [37, "ip6tables"],
    [38, "arptables"],
  ])("sends its frames through a filter of the host that it enables itself: %i is %s", (type, filter) => {
    expect(bridge(attribute(type, u8(1)))).toStrictEqual({ ...quiet, filters: [filter] });
    expect(bridge(attribute(type, u8(0)))).toStrictEqual(quiet);
  });

  test("alone has these settings: the same numbers mean something else elsewhere", () => {
    expect(decoded(linkInfo("veth", attribute(5, u32(2)), attribute(36, u8(1))))).toStrictEqual({
      ...plain,
      kind: "veth",
    });
  });
});

describe("a vxlan device", () => {
  const id = attribute(1, u32(100));
  const port = attribute(15, Buffer.of(0x12, 0xb5));
  const settings = { vni: 100, port: 4789, learning: false, proxy: false, l2miss: false, l3miss: false };
  const vxlan = (...data: Buffer[]) => decoded(linkInfo("vxlan", ...data))?.vxlan;

  test("has its VNI and its port, and what is set beside", () => {
    expect(vxlan(id, port)).toStrictEqual(settings);
    expect(
      vxlan(id, port, attribute(7, u8(1)), attribute(11, u8(1)), attribute(13, u8(1)), attribute(14, u8(1))),
    ).toStrictEqual({
      ...settings,
      learning: true,
      proxy: true,
      l2miss: true,
      l3miss: true,
    });
    expect(vxlan(id, port, attribute(7, u8(0)), attribute(11, u8(1)))).toStrictEqual({ ...settings, proxy: true });
  });

  test.each([
    [4, "192.0.2.1"],
    [17, "2001:db8::1"],
  ])("has a local address of either family, attribute %i", (type, address) => {
    expect(vxlan(id, port, attribute(type, ipToBytes(ip(address))))).toStrictEqual({ ...settings, local: address });
  });

  test("with an unspecified local address has none", () => {
    expect(vxlan(id, port, attribute(4, Buffer.alloc(4)))).toStrictEqual(settings);
  });

  test("has a default destination of either family, and with one of IPv6 its underlay is that", () => {
    expect(vxlan(id, port, attribute(2, Buffer.of(192, 0, 2, 9)))).toStrictEqual({ ...settings, hasRemote: true });
    expect(vxlan(id, port, attribute(16, ipToBytes(ip("2001:db8::9"))))).toStrictEqual({
      ...settings,
      hasRemote: true,
      overIpv6: true,
    });
  });

  test.each([
    ["without a VNI", [port]],
    ["without a port", [id]],
    ["that is external: its VNI is 0", [attribute(1, u32(0)), port]],
    ["with a VNI of more than 24 bits", [attribute(1, u32(0x100_0000)), port]],
  ])("%s is a link of that kind, without settings", (_, data) => {
    expect(decoded(linkInfo("vxlan", ...data))).toStrictEqual({ ...plain, kind: "vxlan" });
  });

  test.each([1, 0xff_ffff])("may have the VNI %i", (value) => {
    expect(vxlan(attribute(1, u32(value)), port)?.vni).toBe(value);
  });

  test("alone has these settings", () => {
    expect(decoded(linkInfo("geneve", id, port))).toStrictEqual({ ...plain, kind: "geneve" });
  });
});

describe("an address of the host", () => {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(3, 4);
  const address = (type: number, value: string) => attribute(type, ipToBytes(ip(value)));
  const of = (type: number, ...attributes: Buffer[]) =>
    decodeAddress(message(Buffer.concat([head, ...attributes]), type));

  test.each([
    ["comes", RTM_NEWADDR],
    ["goes", 21],
  ])("%s", (_, type) => {
    expect(of(type, address(1, "192.0.2.1"))).toStrictEqual({ ifindex: 3, ip: "192.0.2.1" });
    expect(of(type, address(1, "2001:db8::1"))).toStrictEqual({ ifindex: 3, ip: "2001:db8::1" });
  });

  test("on a point-to-point link is the local one, not the peer's", () => {
    expect(of(RTM_NEWADDR, address(1, "192.0.2.9"), address(2, "192.0.2.1"))?.ip).toBe("192.0.2.1");
  });

  test.each([
    ["tentative", 0x40, "tentative"],
    ["tentative, and used all the same (RFC 4429)", 0x44, undefined],
    ["a duplicate", 0x48, "duplicate"],
    ["deprecated", 0x20, undefined],
  ])("may be listed and not used: %s", (_, flags, unusable) => {
    const expected = { ifindex: 3, ip: "2001:db8::1", ...(unusable ? { unusable } : {}) };
    expect(of(RTM_NEWADDR, address(1, "2001:db8::1"), attribute(8, u32(flags)))).toStrictEqual(expected);
    const inHead = Buffer.from(head);
    inHead.writeUInt8(flags, 2);
    const short = message(Buffer.concat([inHead, address(1, "2001:db8::1")]), RTM_NEWADDR);
    expect(decodeAddress(short)).toStrictEqual(expected);
  });

  test("is not in another message, a short one, or one without any", () => {
    expect(of(22, address(1, "192.0.2.1"))).toBeUndefined();
    expect(of(RTM_NEWADDR)).toBeUndefined();
    expect(decodeAddress(message(Buffer.alloc(7), RTM_NEWADDR))).toBeUndefined();
    expect(decodeAddress(message(Buffer.alloc(8), RTM_NEWADDR))).toBeUndefined();
  });
});

describe("a bridge's message about a port", () => {
  const master = attribute(10, u32(9));

  test("names the port and the bridge", () => {
    expect(decodePortChange(message(body({ family: AF_BRIDGE }, name, master)))).toStrictEqual({
      ifindex: 3,
      bridgeIfindex: 9,
    });
  });

  test.each([
    ["of the link itself", message(body({}, name, master))],
    ["of another type", message(body({ family: AF_BRIDGE }, master), 17)],
    ["without a bridge", message(body({ family: AF_BRIDGE }, name))],
    ["cut short", message(Buffer.of(AF_BRIDGE, 0, 0, 0))],
    ["empty", message(Buffer.alloc(0))],
  ])("is not one %s", (_, other) => {
    expect(decodePortChange(other)).toBeUndefined();
  });
});

describe("a request about links", () => {
  const ifinfomsg = ({ family = 0, ifindex = 0, up = false }) =>
    `${family.toString(16).padStart(2, "0")}000000${ifindex.toString(16).padStart(2, "0")}000000${(up ? "01000000" : "00000000").repeat(2)}`;
  const bridgeData = "23=00 5=00000000 9=f8ff 49=00200000";
  const snoopingInfo = `18{1=${hexOf("bridge\0")} 2{23=00}}`;
  const bridgeInfo = `18{1=${hexOf("bridge\0")} 2{${bridgeData}}}`;
  const local4 = "4=c0000201";
  const local6 = "17=20010db8000000000000000000000001";

  test.each([
    ["all", () => encodeLinkDump(), ifinfomsg({})],
    ["the ports of a bridge", () => encodeLinkDump(9), `${ifinfomsg({})} 10=09000000`],
    ["all of a kind", () => encodeLinkDumpOfKind("vxlan"), `${ifinfomsg({})} 18{1=${hexOf("vxlan\0")}}`],
    ["one by its name", () => encodeLinkGet({ name: "br0" }), `${ifinfomsg({})} 3=${hexOf("br0\0")}`],
    ["one by its index", () => encodeLinkGet({ ifindex: 5 }), ifinfomsg({ ifindex: 5 })],
  ])("reads %s", (_, request, expected) => {
    expect(bodyText(16, request())).toBe(expected);
  });

  test("makes a bridge that neither snoops nor runs a spanning tree, forwards reserved groups, and learns no more than guests have", () => {
    const mac = Buffer.from("525400000001", "hex");
    expect(bodyText(16, encodeBridge("nm100", mac))).toBe(
      `${ifinfomsg({})} 3=${hexOf("nm100\0")} 1=525400000001 ${bridgeInfo}`,
    );
    expect(bodyText(16, encodeBridgeSettings(5, bridgeAttributes.slice(0, 1)))).toBe(
      `${ifinfomsg({ ifindex: 5 })} ${snoopingInfo}`,
    );
  });

  test.each([
    ["192.0.2.1", local4],
    ["2001:db8::1", local6],
  ])("makes a vxlan device on %s that asks for what it misses and learns nothing", (address, local) => {
    const device = { name: "nmx100", vni: vni(100), local: vtep(address), port: 4789, mtu: 1450 };
    const data = `1=64000000 ${local} 15=12b5 7=00 11=01 13=01 14=01`;
    expect(bodyText(16, encodeVxlan(device))).toBe(
      `${ifinfomsg({})} 3=${hexOf("nmx100\0")} 4=aa050000 18{1=${hexOf("vxlan\0")} 2{${data}}}`,
    );
    expect(bodyText(16, encodeVxlanChange(5, vtep(address)))).toBe(
      `${ifinfomsg({ ifindex: 5 })} 18{1=${hexOf("vxlan\0")} 2{${local} 7=00}}`,
    );
  });

  test.each([
    ["its MTU", () => encodeMtu(5, 1450), " 4=aa050000"],
    ["its alias", () => encodeAlias(5, "note"), ` 20=${hexOf("note\0")}`],
    ["its alias away", () => encodeAlias(5, ""), " 20="],
    ["no automatic addresses", () => encodeLinkSettings(5), " 26{10{8=01}}"],
    ["that and its alias", () => encodeLinkSettings(5, "note"), ` 20=${hexOf("note\0")} 26{10{8=01}}`],
    ["its name", () => encodeRename(5, "br1"), ` 3=${hexOf("br1\0")}`],
    ["its bridge", () => encodeMaster(5, 9), " 10=09000000"],
    ["snooping off", () => encodeSnoopingOff(5), ` 18{1=${hexOf("bridge\0")} 2{23=00}}`],
    ["nothing, and deletes it", () => encodeLinkDelete(5), ""],
  ])("sets %s", (_, request, attributes) => {
    expect(bodyText(16, request())).toBe(`${ifinfomsg({ ifindex: 5 })}${attributes}`);
  });

  test("takes a link up: the flag and the mask that it changes", () => {
    expect(bodyText(16, encodeLinkUp(5))).toBe(ifinfomsg({ ifindex: 5, up: true }));
  });

  test.each([
    [{}, ""],
    [{ learning: true, flood: false }, "8=01 9=00"],
    [{ learning: false, flood: true }, "8=00 9=01"],
    [{ flush: true as const }, "24="],
    [{ closed: true as const }, "31=fdff"],
  ])("changes those settings of a port that are given: %j", (settings, attributes) => {
    expect(bodyText(16, encodePortSettings(5, settings))).toBe(
      `${ifinfomsg({ family: AF_BRIDGE, ifindex: 5 })} 12{${attributes}}`,
    );
  });

  test("turns ARP on by the mask of the flag, and takes back what a protocol has put down", () => {
    const arpOn = `${ifinfomsg({ ifindex: 5 }).slice(0, 24)}80000000`;
    expect(bodyText(16, encodeArpOn(5))).toBe(arpOn);
    expect(bodyText(16, encodeProtocolUp(5))).toBe(`${ifinfomsg({ ifindex: 5 })} 39=00`);
  });

  test("sets attributes of a bridge port to the values that are wanted", () => {
    const wanted = tunnelPortAttributes.slice(0, 2).map((each) => `${each.type}=0${each.wanted}`);
    expect(bodyText(16, encodePortAttributes(5, tunnelPortAttributes.slice(0, 2)))).toBe(
      `${ifinfomsg({ family: AF_BRIDGE, ifindex: 5 })} 12{${wanted.join(" ")}}`,
    );
  });

  test("reads all addresses", () => {
    expect(encodeAddressDump()).toStrictEqual(Buffer.alloc(8));
  });
});
