import { BlockList, isIP } from "node:net";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  AddressError,
  familyOf,
  findIp,
  findMac,
  ipToBytes,
  isLinkLocal,
  macToBytes,
  parseIp,
  parseMac,
  parseRevision,
  parseSubnet,
  parseVni,
  parseVtep,
  subnetContains,
  subnetFirst,
  subnetLast,
  subnetsOverlap,
} from "../../schema/address/index.ts";

/** Text that is nearly an address, so that the fuzz gets past the first check. */
const nearly = fc.oneof(
  fc.string(),
  fc.stringMatching(/^[0-9a-fA-F:.%/-]{0,40}$/),
  fc.ipV4(),
  fc.ipV6(),
  fc.tuple(fc.oneof(fc.ipV4(), fc.ipV6()), fc.integer({ min: -1, max: 200 })).map(([ip, length]) => `${ip}/${length}`),
);

describe("parsers", () => {
  test.each([
    ["parseIp", parseIp],
    ["parseMac", parseMac],
    ["parseVtep", parseVtep],
    ["parseSubnet", parseSubnet],
  ])("%s returns a fixed point of itself or throws AddressError, whatever it is given", (_name, parse) =>
    fc.assert(
      fc.property(nearly, (text) => {
        let parsed: string;
        try {
          parsed = parse(text);
        } catch (error) {
          expect(error).toBeInstanceOf(AddressError);
          return;
        }
        expect(parse(parsed)).toBe(parsed);
      }),
      { numRuns: 500 },
    ),
  );

  test.each([0, -1, 2 ** 24, 1.5, Number.NaN, Number.POSITIVE_INFINITY])("VNI %d is refused", (value) => {
    expect(() => parseVni(value)).toThrow(AddressError);
  });
  test.each([-1, 1.5, 2 ** 53, Number.NaN])("revision %d is refused", (value) => {
    expect(() => parseRevision(value)).toThrow(AddressError);
  });
  test("the ends of the range are accepted", () => {
    expect([parseVni(1), parseVni(2 ** 24 - 1), parseRevision(0)]).toEqual([1, 16_777_215, 0]);
  });
});

describe("one canonical text", () => {
  test.each([
    ["FD00:0020:0000:0000:0000:0000:0000:0001", "fd00:20::1"],
    ["fd00:20:0:0::1", "fd00:20::1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"], // RFC 5952 §4.2.2: one zero is not shortened
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["10.20.1.1", "10.20.1.1"],
  ])("%s is %s", (text, canonical) => expect(parseIp(text)).toBe(canonical));

  test("of an IP is that of a URL, for what Node takes for an address that an interface may own", () => {
    // Two lists, since Node finds an IPv4 address among the IPv4-mapped ones.
    const [unownable4, unownable6] = [new BlockList(), new BlockList()];
    unownable4.addSubnet("0.0.0.0", 8);
    unownable4.addSubnet("127.0.0.0", 8);
    unownable4.addSubnet("224.0.0.0", 4);
    unownable4.addAddress("255.255.255.255");
    unownable6.addSubnet("::", 127, "ipv6");
    unownable6.addSubnet("::ffff:0:0", 96, "ipv6");
    unownable6.addSubnet("ff00::", 8, "ipv6");
    const group = fc.oneof(fc.constantFrom("0", "ffff", "ff02", "1"), fc.stringMatching(/^[0-9A-Fa-f]{1,4}$/));
    const groups = fc.array(group, { maxLength: 9 });
    const gapped = fc.tuple(groups, groups).map((sides) => sides.map((side) => side.join(":")).join("::"));
    const plain = groups.map((each) => each.join(":"));
    const dotted = fc.tuple(fc.oneof(gapped, plain), fc.ipV4()).map(([head, quad]) => `${head}:${quad}`);
    fc.assert(
      fc.property(fc.oneof(nearly, gapped, plain, dotted), (text) => {
        const kind = text.includes("%") ? 0 : isIP(text);
        const isOwnable = kind === 4 ? !unownable4.check(text) : kind === 6 && !unownable6.check(text, "ipv6");
        if (!isOwnable) expect(() => parseIp(text)).toThrow(AddressError);
        else expect(parseIp(text)).toBe(kind === 4 ? text : new URL(`http://[${text}]`).hostname.slice(1, -1));
      }),
      { numRuns: 5_000 },
    );
  });

  test("of a MAC is in lower case with colons", () => expect(parseMac("52-54-00-AB-CD-EF")).toBe("52:54:00:ab:cd:ef"));

  test("bytes and text agree", () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        try {
          const ip = parseIp(text);
          expect(findIp(ipToBytes(ip))).toBe(ip);
          expect(ipToBytes(ip)).toHaveLength(familyOf(ip) === 4 ? 4 : 16);
        } catch (error) {
          expect(error).toBeInstanceOf(AddressError);
        }
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 8 }), (bytes) => {
        const mac = findMac(bytes);
        if (mac !== undefined) expect(new Uint8Array(macToBytes(mac))).toEqual(bytes);
        else expect(bytes.length !== 6 || (bytes[0] ?? 0) % 2 === 1 || bytes.every((byte) => byte === 0)).toBe(true);
      }),
    );
  });
});

describe("refused", () => {
  test.each([
    "0.0.0.0",
    "255.255.255.255",
    "224.0.0.1",
    "127.0.0.1",
    "::",
    "::1",
    "ff02::1",
    "::ffff:10.0.0.1",
    "fe80::1%eth0",
    "010.0.0.1",
    "10.1",
    "1",
    "",
    "10.0.0.1/24",
  ])("IP %s", (text) => expect(() => parseIp(text)).toThrow(AddressError));

  test.each([
    "00:00:00:00:00:00",
    "ff:ff:ff:ff:ff:ff",
    "01:00:5e:00:00:01",
    "52:54:00-00-00-01",
    "52:54:0:0:0:1",
    "525400000001",
  ])("MAC %s", (text) => expect(() => parseMac(text)).toThrow(AddressError));

  test.each(["fe80::1", "127.0.0.1", "239.1.1.1"])("VTEP %s", (text) =>
    expect(() => parseVtep(text)).toThrow(AddressError),
  );

  test.each([
    "10.0.0.0",
    "10.0.0.1/24",
    "10.0.0.0/33",
    "10.0.0.0/0",
    "fd00::/129",
    "224.0.0.0/4",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
  ])("subnet %s", (text) => expect(() => parseSubnet(text)).toThrow(AddressError));
});

describe("subnets", () => {
  test("contain their own family's addresses between first and last", () => {
    const v4 = parseSubnet("10.20.0.0/22");
    expect([subnetFirst(v4), subnetLast(v4)]).toEqual(["10.20.0.0", "10.20.3.255"]);
    expect(subnetContains(v4, parseIp("10.20.3.255"))).toBe(true);
    expect(subnetContains(v4, parseIp("10.20.4.0"))).toBe(false);
    expect(subnetContains(v4, parseIp("fd00::1"))).toBe(false);
    const v6 = parseSubnet("fd00:20::/63");
    expect([subnetFirst(v6), subnetLast(v6)]).toEqual(["fd00:20::", "fd00:20:0:1:ffff:ffff:ffff:ffff"]);
    const host = parseSubnet("10.0.0.7/32");
    expect([subnetFirst(host), subnetLast(host)]).toEqual(["10.0.0.7", "10.0.0.7"]);
  });

  test("overlap where one contains the other's first address", () => {
    const [wide, inner, beside, other] = ["10.0.0.0/8", "10.1.0.0/16", "11.0.0.0/8", "fd00::/8"].map(parseSubnet);
    if (!wide || !inner || !beside || !other) throw new Error("unreachable");
    expect([subnetsOverlap(wide, inner), subnetsOverlap(inner, wide), subnetsOverlap(wide, wide)]).toEqual([
      true,
      true,
      true,
    ]);
    expect([subnetsOverlap(wide, beside), subnetsOverlap(wide, other)]).toEqual([false, false]);
  });

  test("link-local is fe80::/10", () => {
    expect(["fe80::1", "febf::1"].map((text) => isLinkLocal(parseIp(text)))).toEqual([true, true]);
    expect(["fec0::1", "169.254.0.1"].map((text) => isLinkLocal(parseIp(text)))).toEqual([false, false]);
  });
});
