// What a frame that a guest broadcast says of it: whom it asks for, and which address it claims. And the frames that answer it.
import { describe, expect, test } from "vitest";
import {
  decodeClaim,
  decodeHeard,
  encodeAnnouncement,
  encodeAsk,
  encodeOwnerAsk,
  encodeReply,
} from "../../node-agent/kernel/codec/packet-codec.ts";
import {
  arp,
  ethernet,
  etherTypes,
  internetChecksum,
  ipBytes,
  macBytes,
  neighbourAdvertisement,
} from "../../testkit/lab/frames.ts";
import { ip, mac } from "../support/addresses.ts";

const guest = "52:54:00:00:00:01";
const request = (senderIp: string, targetIp: string): Buffer =>
  arp({ operation: "request", senderMac: guest, senderIp, targetIp });

describe("a guest that is heard", () => {
  test("asking, claims the address that it asks from", () => {
    const self = { mac: mac(guest), ip: ip("10.20.1.1") };
    const target = ip("10.20.1.2");
    expect(decodeHeard(request("10.20.1.1", "10.20.1.2"))).toEqual({ asker: self, claim: self, target });
  });

  test.each([
    ["announcing", "10.20.1.2"],
    ["probing (RFC 5227)", "0.0.0.0"],
  ])("%s an address, claims it and asks for none", (_, sender) => {
    const target = ip("10.20.1.2");
    expect(decodeHeard(request(sender, "10.20.1.2"))).toEqual({ claim: { mac: mac(guest), ip: target }, target });
  });

  test("from a group's address, claims nothing", () => {
    const frame = request("10.20.1.1", "10.20.1.2");
    frame[6] = 0xff;
    expect(decodeHeard(frame)).toEqual({ target: ip("10.20.1.2") });
  });
});

/** An ICMPv6 message in a frame of the guest, as RFC 4861 has it; `edit` makes it another one. */
function solicitation(sender: string, target: string, edit: (packet: Buffer) => void = () => {}): Buffer {
  const message = Buffer.concat([Buffer.of(135, 0, 0, 0, 0, 0, 0, 0), ipBytes(target)]);
  const header = Buffer.from([0x60, 0, 0, 0, 0, message.length, 58, 255]);
  const packet = Buffer.concat([header, ipBytes(sender), ipBytes("ff02::1"), message]);
  edit(packet);
  return ethernet({ to: "33:33:ff:00:00:02", from: guest, type: etherTypes.ipv6, payload: packet });
}

describe("a guest that solicits", () => {
  const target = ip("fd00::2");
  const self = { mac: mac(guest), ip: ip("fd00::1") };

  test("asks for the target and claims its own address", () => {
    expect(decodeHeard(solicitation("fd00::1", "fd00::2"))).toEqual({ asker: self, claim: self, target });
  });

  test("from the unspecified address, claims the target (RFC 4862)", () => {
    expect(decodeHeard(solicitation("::", "fd00::2"))).toEqual({ claim: { mac: mac(guest), ip: target }, target });
  });

  test.each<[string, (packet: Buffer) => void]>([
    ["an advertisement", (packet) => packet.writeUInt8(136, 40)],
    ["of another protocol", (packet) => packet.writeUInt8(17, 6)],
    ["for a group", (packet) => packet.writeUInt8(0xff, 48)],
  ])("is not heard in a packet that is %s", (_, edit) => {
    expect(decodeHeard(solicitation("fd00::1", "fd00::2", edit))).toBeUndefined();
  });
});

describe("a frame says nothing", () => {
  const asked = request("10.20.1.1", "10.20.1.2");
  const solicited = solicitation("fd00::1", "fd00::2");

  test.each([
    ["shorter than its head", asked.subarray(0, 13)],
    ["with nothing behind its head", asked.subarray(0, 14)],
    ["whose ARP is cut short", asked.subarray(0, 41)],
    ["whose solicitation is cut short", solicited.subarray(0, 77)],
    ["that is a reply", arp({ operation: "reply", senderMac: guest, senderIp: "10.20.1.1", targetIp: "10.20.1.2" })],
    [
      "of another type, as ARP",
      ethernet({ to: guest, from: guest, type: etherTypes.ipv4, payload: asked.subarray(14) }),
    ],
    [
      "of another type, as IPv6",
      ethernet({ to: guest, from: guest, type: etherTypes.ipv4, payload: solicited.subarray(14) }),
    ],
  ])("%s", (_, frame) => {
    expect(decodeHeard(frame)).toBeUndefined();
  });

  test("and not a byte more is needed to understand it", () => {
    expect(decodeHeard(asked.subarray(0, 42))?.target).toBe("10.20.1.2");
    expect(decodeHeard(solicited.subarray(0, 78))?.target).toBe("fd00::2");
  });
});

describe("an answer", () => {
  const remote = "52:54:00:00:00:02";
  const to = { mac: mac(guest), ip: ip("10.20.1.1") };
  const found = { ip: ip("10.20.1.2"), mac: mac(remote), router: false };
  const found6 = { ip: ip("fd00::2"), mac: mac(remote), router: false };

  /** A neighbour advertisement, as RFC 4861 has it. */
  function advertisement(toMac: string, toIp: string, flags: number): Buffer {
    const message = Buffer.concat([
      Buffer.of(136, 0, 0, 0, flags, 0, 0, 0),
      ipBytes("fd00::2"),
      Buffer.of(2, 1),
      macBytes(remote),
    ]);
    const [from, destination] = [ipBytes("fd00::2"), ipBytes(toIp)];
    const pseudo = Buffer.concat([from, destination, Buffer.of(0, 0, 0, message.length, 0, 0, 0, 58)]);
    message.writeUInt16BE(internetChecksum(pseudo, message), 2);
    const header = Buffer.from([0x60, 0, 0, 0, 0, message.length, 58, 255]);
    const payload = Buffer.concat([header, from, destination, message]);
    return ethernet({ to: toMac, from: remote, type: etherTypes.ipv6, payload });
  }

  test("to an ARP request is the reply that the VM itself would send, to the guest alone", () => {
    expect(encodeReply(found, to)).toEqual(
      arp({ operation: "reply", senderMac: remote, senderIp: "10.20.1.2", targetMac: guest, targetIp: "10.20.1.1" }),
    );
  });

  test("to a solicitation is an advertisement to the guest alone: solicited, overriding, of a router if the VM is one", () => {
    const asker = { mac: mac(guest), ip: ip("fd00::1") };
    expect(encodeReply(found6, asker)).toEqual(advertisement(guest, "fd00::1", 0x60));
    expect(encodeReply({ ...found6, router: true }, asker)).toEqual(advertisement(guest, "fd00::1", 0xe0));
  });

  test("to guests that were not heard is a gratuitous request, or an overriding advertisement to all nodes", () => {
    expect(encodeAnnouncement(found)).toEqual(
      arp({ operation: "request", senderMac: remote, senderIp: "10.20.1.2", targetIp: "10.20.1.2" }),
    );
    expect(encodeAnnouncement(found6)).toEqual(advertisement("33:33:00:00:00:01", "ff02::1", 0x20));
    expect(encodeAnnouncement({ ...found6, router: true })).toEqual(
      advertisement("33:33:00:00:00:01", "ff02::1", 0xa0),
    );
  });

  test.each([
    ["exceeds 16 bits after the first fold", "fd00::ffff:ffff:ffff:ffff", "fd00:ffff:ffff:ffff::1"],
    ["is all ones", "fd00::cfcf", "fd00::1"],
  ])("has a right checksum where the sum %s", (_, from, asker) => {
    const all = { ip: ip(from), mac: mac("fe:ff:ff:ff:ff:ff"), router: true };
    const frame = encodeReply(all, { mac: mac(guest), ip: ip(asker) });
    const packet = frame.subarray(14);
    const pseudo = Buffer.concat([packet.subarray(8, 40), Buffer.of(0, 0, 0, packet.length - 40, 0, 0, 0, 58)]);
    expect(internetChecksum(pseudo, packet.subarray(40))).toBe(0);
  });
});

describe("what a guest says of an address", () => {
  const vip = "10.20.1.100";
  const claim = (of: string, announces: boolean) => ({ mac: mac(guest), ip: ip(of), announces });
  const reply = (targetIp: string): Buffer =>
    arp({ operation: "reply", senderMac: guest, senderIp: vip, targetMac: guest, targetIp }, "ff:ff:ff:ff:ff:ff");

  test.each([
    ["a gratuitous ARP request", request(vip, vip), claim(vip, true)],
    ["a gratuitous ARP reply", reply(vip), claim(vip, true)],
    ["an ordinary request", request(vip, "10.20.1.1"), claim(vip, false)],
    ["an ordinary reply", reply("10.20.1.1"), claim(vip, false)],
    ["a solicitation", solicitation("fd00:20::100", "fd00:20::1"), claim("fd00:20::100", false)],
    [
      "an unsolicited advertisement",
      neighbourAdvertisement({ mac: guest, ip: "fd00:20::100" }),
      claim("fd00:20::100", true),
    ],
  ])("is read from %s", (_, frame, expected) => {
    expect(decodeClaim(frame)).toEqual(expected);
    // Never beyond the end of a frame that is cut.
    for (let length = 0; length < frame.length; length++)
      expect(() => decodeClaim(frame.subarray(0, length))).not.toThrow();
  });

  test("is only used, where the advertisement answers a solicitation", () => {
    const frame = neighbourAdvertisement({ mac: guest, ip: "fd00:20::100" });
    frame[14 + 40 + 4] = 0x60;
    expect(decodeClaim(frame)).toEqual(claim("fd00:20::100", false));
  });

  test.each([
    ["a probe (RFC 5227)", request("0.0.0.0", vip)],
    ["duplicate address detection", solicitation("::", "fd00:20::100")],
    ["ARP of another MAC than the frame's", Object.assign(request(vip, vip), { 6: 0x52, 11: 0x77 })],
    [
      "an advertisement of another MAC",
      Object.assign(neighbourAdvertisement({ mac: guest, ip: "fd00:20::100" }), { 11: 0x77 }),
    ],
    ["another ARP operation", Object.assign(request(vip, vip), { 21: 3 })],
    ["another protocol", ethernet({ to: guest, from: guest, type: 0x88b5, payload: Buffer.alloc(60) })],
    ["another ICMPv6 message", Object.assign(neighbourAdvertisement({ mac: guest, ip: "fd00:20::100" }), { 54: 134 })],
  ])("is nothing in %s", (_, frame) => {
    expect(decodeClaim(frame)).toBeUndefined();
  });
});

describe("a question to a guest whether it has an address", () => {
  const own = mac(guest);
  const asker = "00:00:5e:00:53:ff";
  const linkLocal = "fe80::200:5eff:fe00:53ff";

  test("over IPv4 is an ARP probe from the guest's own MAC, which is no conflict (RFC 5227)", () => {
    const frame = encodeAsk(ip("10.20.1.100"), own);
    const probe = arp({ operation: "request", senderMac: guest, senderIp: "0.0.0.0", targetIp: "10.20.1.100" });
    expect(frame).toEqual(Buffer.concat([macBytes("ff:ff:ff:ff:ff:ff"), macBytes(asker), probe.subarray(12)]));
  });

  test("over IPv4 is an ordinary probe for a guest that has the address", () => {
    const frame = encodeOwnerAsk(ip("10.20.1.100"), own);
    const probe = arp({ operation: "request", senderMac: asker, senderIp: "0.0.0.0", targetIp: "10.20.1.100" });
    expect(frame).toEqual(Buffer.concat([macBytes("ff:ff:ff:ff:ff:ff"), probe.subarray(6)]));
  });

  test.each([encodeAsk, encodeOwnerAsk])("over IPv6 is a solicitation from a unicast address (RFC 4862)", (encode) => {
    const group = "ff02::1:ff34:5678";
    const message = Buffer.concat([
      Buffer.of(135, 0, 0, 0, 0, 0, 0, 0),
      ipBytes("fd00::1234:5678"),
      Buffer.of(1, 1),
      macBytes(guest),
    ]);
    const pseudo = Buffer.concat([ipBytes(linkLocal), ipBytes(group), Buffer.of(0, 0, 0, 32, 0, 0, 0, 58)]);
    message.writeUInt16BE(internetChecksum(pseudo, message), 2);
    const header = Buffer.from([0x60, 0, 0, 0, 0, 32, 58, 255]);
    const payload = Buffer.concat([header, ipBytes(linkLocal), ipBytes(group), message]);
    const to = "33:33:ff:34:56:78";
    expect(encode(ip("fd00::1234:5678"), own)).toEqual(ethernet({ to, from: asker, type: etherTypes.ipv6, payload }));
  });

  test("is no sign that any guest has it", () => {
    for (const text of ["10.20.1.100", "fd00::100"]) expect(decodeClaim(encodeAsk(ip(text), own))?.ip).not.toBe(text);
  });
});
