import { describe, expect, test } from "vitest";
import {
  arp,
  ethernet,
  etherTypes,
  findVxlan,
  icmpEcho,
  internetChecksum,
  ipBytes,
  neighbourSolicitation,
  rarpAnnouncement,
  readEthernet,
  solicitedNode,
  udpPacket,
  vxlan,
} from "../../testkit/lab/frames.ts";

const mac = "52:54:00:00:00:01";

describe("frames of the lab", () => {
  test("an ARP request is broadcast and has the layout of RFC 826", () => {
    const frame = arp({ operation: "request", senderMac: mac, senderIp: "10.20.1.1", targetIp: "10.20.1.2" });
    expect(frame.toString("hex")).toBe(
      "ffffffffffff5254000000010806" + "0001080006040001" + "5254000000010a140101" + "0000000000000a140102",
    );
  });

  test("an ARP reply is sent to its target, or to the caller's destination", () => {
    const reply = { operation: "reply", senderMac: mac, senderIp: "10.0.0.1", targetIp: "10.0.0.2" } as const;
    expect(readEthernet(arp({ ...reply, targetMac: "52:54:00:00:00:02" })).to).toBe("52:54:00:00:00:02");
    expect(readEthernet(arp(reply, "ff:ff:ff:ff:ff:ff")).to).toBe("ff:ff:ff:ff:ff:ff");
  });

  test("the announcement of a migrated card has the minimum frame length", () => {
    const frame = rarpAnnouncement(mac);
    expect(frame.length).toBe(60);
    expect(readEthernet(frame)).toMatchObject({ type: etherTypes.rarp, from: mac });
  });

  test("the checksum is that of RFC 1071, odd lengths included", () => {
    expect(internetChecksum(Buffer.from("0001f203f4f5f6f7", "hex"))).toBe(0x220d);
    expect(internetChecksum(Buffer.from("00", "hex"))).toBe(0xffff);
    expect(internetChecksum(Buffer.from("0001f2", "hex"))).toBe(~0xf201 & 0xffff);
  });

  test.each([
    ["10.20.1.1", "10.20.1.2", 20],
    ["fd00:20::1", "fd00:20::2", 40],
  ])("an echo from %s verifies at its receiver", (from, to, headerLength) => {
    const packet = icmpEcho({ from, to, sequence: 7 });
    const message = packet.subarray(headerLength);
    const tail = Buffer.from([0, 0, 0, message.length, 0, 0, 0, 58]);
    const pseudo = headerLength === 40 ? [ipBytes(from), ipBytes(to), tail] : [];
    expect(internetChecksum(...pseudo, message)).toBe(0);
    if (headerLength === 20) expect(internetChecksum(packet.subarray(0, 20))).toBe(0);
  });

  test("a solicitation is sent to the group of its target and contains the asker's MAC", () => {
    expect(solicitedNode("fd00:20::12:3456")).toEqual({ ip: "ff02::1:ff12:3456", mac: "33:33:ff:12:34:56" });
    const frame = neighbourSolicitation({ mac, from: "fd00:20::1", target: "fd00:20::2" });
    expect(readEthernet(frame)).toMatchObject({ to: "33:33:ff:00:00:02", from: mac, type: etherTypes.ipv6 });
    expect(frame.subarray(-8).toString("hex")).toBe("0101525400000001");
    const probe = neighbourSolicitation({ mac, from: "::", target: "fd00:20::2" });
    expect(probe.length).toBe(frame.length - 8);
  });

  test.each([
    ["192.0.2.1", "192.0.2.2"],
    ["2001:db8::1", "2001:db8::2"],
  ])("a tunnelled frame from %s is parsed back with its VNI", (from, to) => {
    const inner = arp({ operation: "request", senderMac: mac, senderIp: "10.0.0.1", targetIp: "10.0.0.2" });
    const payload = udpPacket({ from, to, fromPort: 50_000, toPort: 4_789, payload: vxlan(0xff_ffff, inner) });
    const type = from.includes(":") ? etherTypes.ipv6 : etherTypes.ipv4;
    const frame = ethernet({ to: "52:54:00:00:00:02", from: mac, type, payload });
    expect(findVxlan(frame)).toEqual({ vni: 0xff_ffff, inner });
    expect(findVxlan(frame, 8_472)).toBeUndefined();
    expect(findVxlan(inner)).toBeUndefined();
  });
});
