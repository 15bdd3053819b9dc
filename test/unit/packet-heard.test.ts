// The meaning of a guest's broadcast frame: the address that it asks for, and the one that it claims.
import { describe, expect, test } from "vitest";
import { decodeHeard } from "../../node-agent/kernel/codec/packet-codec.ts";
import { arp } from "../../testkit/lab/frames.ts";
import { ip, mac } from "../support/addresses.ts";

const guest = "52:54:00:00:00:01";
const request = (senderIp: string, targetIp: string): Buffer =>
  arp({ operation: "request", senderMac: guest, senderIp, targetIp });

describe("a guest that is heard", () => {
  test("claims the address that it asks from", () => {
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
