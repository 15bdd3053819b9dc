import fc from "fast-check";
import { expect, test } from "vitest";
import { readTable } from "../../node-agent/guard/readback.ts";
import { elementsScript, guardedPorts, linkLocalOf, samePorts } from "../../node-agent/guard/rules.ts";
import { parseIp, parseSubnet } from "../../schema/address/index.ts";
import { mac, vni } from "../support/addresses.ts";

const one = mac("52:54:00:00:00:01");
const two = mac("52:54:00:00:00:02");

test("the link-local address of a MAC is that of RFC 4291, appendix A", () => {
  expect(linkLocalOf(mac("34:56:78:9a:bc:de"))).toBe("fe80::3656:78ff:fe9a:bcde");
});

test("a port may send from the addresses of its interfaces, and the link-local one of each MAC", () => {
  const ports = guardedPorts([
    { mac: one, ips: [parseIp("10.0.0.1"), parseIp("fd00::1")], port: "tap1" },
    { mac: two, ips: [], port: "tap1" },
    { mac: two, ips: [parseIp("10.0.0.2")] },
  ]);
  const { script, sizes } = elementsScript(ports);
  expect(script.split("\n")).toEqual([
    "flush set bridge nearmiss guarded",
    'add element bridge nearmiss guarded { "tap1" }',
    "flush set bridge nearmiss macs",
    'add element bridge nearmiss macs { "tap1" . 52:54:00:00:00:01, "tap1" . 52:54:00:00:00:02 }',
    "flush set bridge nearmiss addresses4",
    'add element bridge nearmiss addresses4 { "tap1" . 52:54:00:00:00:01 . 10.0.0.1 }',
    "flush set bridge nearmiss addresses6",
    'add element bridge nearmiss addresses6 { "tap1" . 52:54:00:00:00:01 . fd00::1, "tap1" . 52:54:00:00:00:01 . ' +
      'fe80::5054:ff:fe00:1, "tap1" . 52:54:00:00:00:02 . fe80::5054:ff:fe00:2 }',
    "flush set bridge nearmiss prefixes4",
    "flush set bridge nearmiss prefixes6",
    "flush set bridge nearmiss targets6",
    'add element bridge nearmiss targets6 { "tap1" . 52:54:00:00:00:01 . 0xfd000000000000000000000000000001, ' +
      '"tap1" . 52:54:00:00:00:01 . 0xfe80000000000000505400fffe000001, ' +
      '"tap1" . 52:54:00:00:00:02 . 0xfe80000000000000505400fffe000002 }',
    "",
  ]);
  expect(Object.fromEntries(sizes)).toEqual({
    guarded: 1,
    macs: 2,
    addresses4: 1,
    addresses6: 3,
    prefixes4: 0,
    prefixes6: 0,
    targets6: 3,
  });
});

test("a port may also send from what its guest may take, and packets from prefixes, of which the widest is listed", () => {
  const allowed = [
    parseIp("10.0.0.100"),
    parseIp("fd00::100"),
    parseSubnet("172.16.5.0/24"),
    parseSubnet("172.16.0.0/12"),
    parseSubnet("172.32.0.0/12"),
    parseSubnet("fd99::/32"),
  ];
  const { script, sizes } = elementsScript(guardedPorts([{ mac: one, ips: [], port: "tap1", allowed }]));
  const at = '"tap1" . 52:54:00:00:00:01';
  expect(script).toContain(`addresses4 { ${at} . 10.0.0.100 }`);
  expect(script).toContain(`addresses6 { ${at} . fd00::100, ${at} . fe80::5054:ff:fe00:1 }`);
  expect(script).toContain(`prefixes4 { ${at} . 172.16.0.0/12, ${at} . 172.32.0.0/12 }`);
  expect(script).toContain(`prefixes6 { ${at} . fd99::/32 }`);
  expect(Object.fromEntries(sizes)).toMatchObject({
    addresses4: 1,
    addresses6: 2,
    prefixes4: 2,
    prefixes6: 1,
    targets6: 2,
  });
});

test("the network for which a port is guarded is listed with it", () => {
  const { script } = elementsScript(new Map([["tap1", new Map()]]), () => vni(100));
  expect(script).toContain('guarded { "tap1" comment "100" }');
});

test("a port without MACs is guarded and may send nothing", () => {
  const { script } = elementsScript(new Map([["tap1", new Map()]]));
  expect(script).toContain('guarded { "tap1" }');
  expect(script).not.toContain("element bridge nearmiss macs");
});

test("no port name can inject rules", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 20 }), (port) => {
      const { script } = elementsScript(guardedPorts([{ mac: one, ips: [], port }]));
      expect(script.match(/"/g)?.length ?? 0).toBe(script.includes("element") ? 8 : 0);
      expect(script.split("\n")).toHaveLength(script.includes("element") ? 12 : 8);
    }),
    { examples: [['a" }; x'], ["tap*"], ["tap\n1"], ["tap1"], ["tap\\"]] },
  );
});

test("the order of registrations does not change the ruleset, a changed address does", () => {
  const guest = (ip: string) => ({ mac: one, ips: [parseIp(ip)], port: "tap1" });
  const other = { mac: two, ips: [], port: "tap2" };
  expect(samePorts(guardedPorts([guest("10.0.0.1"), other]), guardedPorts([guest("10.0.0.1"), other]))).toBe(true);
  expect(samePorts(guardedPorts([guest("10.0.0.1")]), guardedPorts([guest("10.0.0.2")]))).toBe(false);
});

test("changes made by frames are not changes of the rules", () => {
  const table = (element: object) =>
    JSON.stringify({
      nftables: [
        { metainfo: { version: "1.0.6" } },
        {
          set: {
            family: "bridge",
            name: "guarded",
            handle: 3,
            elem: ["tap2", { elem: { val: "tap1", comment: "100" } }],
          },
        },
        { set: { family: "bridge", name: "offenders", handle: 4, elem: [{ elem: element }] } },
        { counter: { name: "dropped_mac", packets: 7, bytes: 700 } },
      ],
    });
  const first = readTable(table({ val: "tap1", counter: { packets: 3, bytes: 9 } }));
  const second = readTable(table({ val: "tap2", counter: { packets: 4, bytes: 9 } }));
  expect(first.fingerprint).toBe(second.fingerprint);
  expect(first.dropped.get("mac")).toBe(7);
  expect([...second.offenders]).toEqual([["tap2", 4]]);
  expect([...first.guarded]).toEqual([
    ["tap2", undefined],
    ["tap1", 100],
  ]);
});
