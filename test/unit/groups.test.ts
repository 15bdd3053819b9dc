// Multicast groups: their addresses, reports and queries as bytes, memberships over time, and where frames are copied to.
import { describe, expect, test } from "vitest";
import { decodeReports, encodeQuery } from "../../node-agent/kernel/codec/group-codec.ts";
import { explain } from "../../node-agent/status/explain.ts";
import { parseDestination } from "../../node-agent/status/protocol.ts";
import { copiesByMac, groupEntries, maxCopiedGroups } from "../../node-agent/tables/broadcast.ts";
import { type BroadcastEntry, entryKey } from "../../node-agent/tables/entry.ts";
import { GroupTables } from "../../node-agent/tables/group-tables.ts";
import {
  type GroupQuestion,
  lastMemberMs,
  Memberships,
  maxGroupsPerNetwork,
  maxGroupsPerPort,
  membershipMs,
} from "../../node-agent/tables/memberships.ts";
import { findGroup, groupMac, groupToBytes, linkPurpose, parseGroup } from "../../schema/address/index.ts";
import { internetChecksum, ipPacket } from "../../testkit/lab/frames.ts";
import { rev, vni, vtep } from "../support/addresses.ts";
import { actual, healthy, healthyKernel } from "../support/path-facts.ts";

const group = parseGroup("239.1.2.3");
const other = parseGroup("239.1.2.4");

describe("a group's address", () => {
  test.each([
    ["239.129.2.3", "239.129.2.3", "01:00:5e:01:02:03"],
    ["224.0.0.251", "224.0.0.251", "01:00:5e:00:00:fb"],
    ["FF02:0:0:0:0:0:0:00fb", "ff02::fb", "33:33:00:00:00:fb"],
    ["ff05::1:203", "ff05::1:203", "33:33:00:01:02:03"],
  ])("%s is %s, with the MAC %s", (text, canonical, mac) => {
    const found = parseGroup(text);
    expect([found, groupMac(found), findGroup(groupToBytes(found))]).toEqual([canonical, mac, canonical]);
  });

  test.each(["10.20.1.1", "240.0.0.1", "fd00::1", "239.1.2", "ff02::1%eth0", "", "group"])("%j is none", (text) => {
    expect(() => parseGroup(text)).toThrow(/is not a multicast address such as/);
  });

  test.each([
    ["224.0.0.1", "all systems of one link"],
    ["224.0.0.22", "reports of IGMP"],
    ["ff01::fb", "a group of one node"],
    ["ff02::1", "all nodes of one link"],
    ["ff02::1:2", "DHCPv6"],
    ["ff02::1:ff12:3456", "neighbour discovery"],
    ["ff02::2:ff12:3456", "node information queries"],
    ["224.0.0.18", undefined],
    ["224.0.0.251", undefined],
    ["ff02::12", undefined],
    ["ff02::fb", undefined],
    ["ff05::1:ff12:3456", undefined],
  ])("of %s frames stay on their host because of: %s", (text, purpose) => {
    expect(linkPurpose(parseGroup(text))).toBe(purpose);
  });
});

const etherType = { 4: Buffer.of(0x08, 0x00), 6: Buffer.of(0x86, 0xdd) } as const;
const framed = (family: 4 | 6, packet: Buffer): Buffer =>
  Buffer.concat([Buffer.alloc(6, 1), Buffer.alloc(6, 2), etherType[family], packet]);

function igmp(message: Buffer): Buffer {
  const summed = Buffer.from(message);
  summed.writeUInt16BE(0, 2);
  summed.writeUInt16BE(internetChecksum(summed), 2);
  return framed(4, ipPacket({ from: "10.20.1.1", to: "255.255.255.255", protocol: 2, payload: summed }, 1));
}

function mld(message: Buffer, hopLimit = 1): Buffer {
  const from = Buffer.from("fe800000000000000000000000000001", "hex");
  const to = Buffer.from("ff020000000000000000000000000016", "hex");
  const summed = Buffer.from(message);
  summed.writeUInt16BE(0, 2);
  const pseudo = Buffer.concat([from, to, Buffer.of(0, 0, 0, message.length, 0, 0, 0, 58)]);
  summed.writeUInt16BE(internetChecksum(pseudo, summed), 2);
  const header = Buffer.of(0x60, 0, 0, 0, 0, 8 + message.length, 0, hopLimit);
  return framed(6, Buffer.concat([header, from, to, Buffer.of(58, 0, 5, 2, 0, 0, 1, 0), summed]));
}

/** @param records type, number of sources, group */
function version3(type: number, records: readonly (readonly [number, number, string])[]): Buffer {
  const bodies = records.map(([record, sources, text]) => {
    const address = groupToBytes(parseGroup(text));
    return Buffer.concat([Buffer.of(record, 0, 0, sources), address, Buffer.alloc(sources * address.length, 9)]);
  });
  return Buffer.concat([Buffer.of(type, 0, 0, 0, 0, 0, 0, records.length), ...bodies]);
}

const plain4 = (type: number, text: string): Buffer =>
  Buffer.concat([Buffer.of(type, 0, 0, 0), groupToBytes(parseGroup(text))]);
const plain6 = (type: number, text: string): Buffer =>
  Buffer.concat([Buffer.of(type, 0, 0, 0, 0, 0, 0, 0), groupToBytes(parseGroup(text))]);

describe("reports of guests", () => {
  test.each([
    ["IGMPv1", igmp(plain4(0x12, group)), [{ verb: "join", group }]],
    ["IGMPv2", igmp(plain4(0x16, group)), [{ verb: "join", group }]],
    ["a leave of IGMPv2", igmp(plain4(0x17, group)), [{ verb: "leave", group }]],
    ["MLDv1", mld(plain6(131, "ff05::1")), [{ verb: "join", group: "ff05::1" }]],
    ["MLDv1's done", mld(plain6(132, "ff05::1")), [{ verb: "leave", group: "ff05::1" }]],
  ])("%s", (_, frame, reports) => {
    expect(decodeReports(frame)).toEqual(reports);
  });

  test.each([
    [0x22, igmp, group],
    [143, mld, "ff05::7"],
  ] as const)(
    "records of type %i: without sources INCLUDE is a leave, everything else is a join",
    (type, wrap, text) => {
      const verbs = (record: number, sources: number) =>
        decodeReports(wrap(version3(type, [[record, sources, text]]))).map(({ verb }) => verb);
      expect([1, 2, 3, 4, 5, 6].map((record) => verbs(record, 0).join())).toEqual([
        "",
        "join",
        "leave",
        "join",
        "",
        "leave",
      ]);
      expect([1, 2, 3, 4, 5, 6].map((record) => verbs(record, 2).join())).toEqual([
        "join",
        "join",
        "join",
        "join",
        "join",
        "leave",
      ]);
      expect(verbs(7, 0)).toEqual([]);
    },
  );

  test("groups of one link are left out, and records behind one that is cut off", () => {
    const records = version3(143, [
      [4, 0, "ff02::1:ff00:1"],
      [4, 1, "ff05::1"],
      [4, 0, "ff02::fb"],
    ]);
    expect(decodeReports(mld(records)).map((each) => each.group)).toEqual(["ff05::1", "ff02::fb"]);
    const lying = Buffer.from(records);
    lying.writeUInt16BE(200, 8 + 20 + 2);
    expect(decodeReports(mld(lying))).toEqual([]);
  });

  test("with a wrong checksum, from behind a router, fragmented or cut off there are none", () => {
    const good = igmp(plain4(0x16, group));
    const wrong = Buffer.from(good);
    wrong[wrong.length - 1] = 99;
    const fragment = Buffer.from(good);
    fragment[14 + 6] = 0x20;
    for (const frame of [wrong, fragment, mld(plain6(131, "ff05::1"), 2)]) expect(decodeReports(frame)).toEqual([]);
    for (let length = 0; length < good.length; length++) expect(decodeReports(good.subarray(0, length))).toEqual([]);
  });
});

test("a query is one that this side would read: right checksums, router alert, a TTL of 1", () => {
  const fromMac = Buffer.from("0200000000aa", "hex");
  const four = encodeQuery({ family: 4, maxResponseMs: 1_000, fromMac });
  expect(four.subarray(0, 6).toString("hex")).toBe("01005e000001");
  expect(internetChecksum(four.subarray(14, 38))).toBe(0);
  expect(internetChecksum(four.subarray(38))).toBe(0);
  expect([four[14 + 8], four.readUInt16BE(14 + 2), four[38], four[39]]).toEqual([1, four.length - 14, 0x11, 10]);
  const six = encodeQuery({ family: 6, group: parseGroup("ff05::1:23"), maxResponseMs: 1_000, fromMac });
  expect(six.subarray(0, 6).toString("hex")).toBe("333300010023");
  const message = six.subarray(14 + 48);
  const pseudo = Buffer.concat([six.subarray(14 + 8, 14 + 40), Buffer.of(0, 0, 0, message.length, 0, 0, 0, 58)]);
  expect(internetChecksum(pseudo, message)).toBe(0);
  expect([six[14 + 7], message[0], message.readUInt16BE(4)]).toEqual([1, 130, 1_000]);
});

describe("memberships of guests", () => {
  const made = (mayAsk: (question: GroupQuestion) => boolean = () => true) => new Memberships(mayAsk);

  test("last until they are not confirmed for 260 s", () => {
    const all = made();
    expect(all.join("tap1", group, 0)).toBe(true);
    all.join("tap1", group, 100_000);
    all.tick(membershipMs);
    expect(all.groups).toEqual([group]);
    all.tick(100_000 + membershipMs);
    expect(all.groups).toEqual([]);
    expect([...all.takeChanges()]).toEqual([group]);
  });

  test("one that is left is asked for twice, and ends where no guest answers", () => {
    const all = made();
    all.join("tap1", group, 0);
    expect(all.leave("tap1", group, 10)).toEqual([{ group }]);
    expect(all.leave("tap1", group, 20)).toEqual([]);
    expect(all.tick(1_009)).toEqual([]);
    expect(all.tick(1_010)).toEqual([{ group }]);
    expect(all.has(group)).toBe(true);
    all.tick(10 + lastMemberMs);
    expect(all.has(group)).toBe(false);
    expect(all.leave("tap1", group, 9_000)).toEqual([]);
  });

  test("another guest that answers keeps the group, and with a known one only the leaver is asked", () => {
    const all = made();
    all.join("tap1", group, 0);
    all.leave("tap1", group, 0);
    all.join("tap2", group, 500);
    expect(all.tick(1_000)).toEqual([]);
    all.tick(lastMemberMs);
    expect(all.portsOf(group)).toEqual(["tap2"]);
    all.join("tap3", group, 3_000);
    expect(all.leave("tap2", group, 4_000)).toEqual([{ group, port: "tap2" }]);
    all.tick(8_000);
    expect(all.portsOf(group)).toEqual(["tap3"]);
  });

  test("a port that is gone leaves: others are asked, who may have been silent because of its reports", () => {
    const all = made();
    all.join("tap1", group, 0);
    all.join("tap1", other, 0);
    all.join("tap2", other, 0);
    expect(all.portGone("tap1", 1_000)).toEqual([{ group }]);
    expect(all.groups).toEqual([group, other]);
    all.join("tap3", group, 1_500);
    all.tick(1_000 + lastMemberMs);
    expect([all.portsOf(group), all.portsOf(other)]).toEqual([["tap3"], ["tap2"]]);
    expect(all.portGone("tap3", 5_000)).toEqual([{ group }]);
    all.tick(5_000 + lastMemberMs);
    expect(all.groups).toEqual([other]);
  });

  test("where more leave than can be asked for, all groups are asked for, and none ends before", () => {
    const all = made(() => false);
    all.join("tap1", group, 0);
    expect(all.leave("tap1", group, 0)).toBe(true);
    all.tick(11_000);
    expect(all.has(group)).toBe(true);
    all.tick(12_000);
    expect(all.has(group)).toBe(false);
  });

  test("have room for so many of a port and of a network, and the ports beyond are named", () => {
    const all = made();
    const nth = (port: number, n: number) => parseGroup(`239.${port}.${n >> 8}.${n & 255}`);
    for (let n = 0; n < maxGroupsPerPort; n++) expect(all.join("tap0", nth(0, n), 0)).toBe(true);
    expect(all.join("tap0", nth(0, maxGroupsPerPort), 0)).toBe(false);
    expect(all.fullPorts(0)).toEqual(["tap0"]);
    for (let port = 1; port < 5; port++)
      for (let n = 0; n < maxGroupsPerPort; n++) all.join(`tap${port}`, nth(port, n), 0);
    expect(all.groups).toHaveLength(maxGroupsPerNetwork);
    expect(all.fullPorts(0)).toEqual(["tap0", "tap4"]);
    expect(all.join("tap5", nth(0, 0), 0)).toBe(true);
    expect(all.fullPorts(membershipMs)).toEqual([]);
    all.portGone("tap0", 0);
    all.tick(lastMemberMs);
    expect(all.join("tap4", nth(4, 1), lastMemberMs)).toBe(true);
  });
});

describe("destinations of groups", () => {
  const blue = vni(100);
  const own = { vtep: vtep("192.0.2.1"), vtepPort: 4789 };
  const host = (last: number, ...groups: string[]) => ({
    vtep: vtep(`192.0.2.${last}`),
    port: 4789,
    groups: groups.map(parseGroup),
  });

  test("are the ends of hosts with a member, those of groups with one MAC together, and never an own one", () => {
    const { entries, leftOut } = groupEntries(
      blue,
      [host(1, "239.1.2.3"), host(2, "239.1.2.3", "224.1.2.3"), host(3, "225.129.2.3", "239.9.9.9")],
      [],
      [own],
    );
    expect([...copiesByMac(entries)]).toEqual([
      ["01:00:5e:01:02:03", 2],
      ["01:00:5e:09:09:09", 1],
    ]);
    expect(leftOut).toBe(0);
    for (const [key, entry] of entries) expect(key).toBe(entryKey(entry));
  });

  test("have room for so many MAC addresses, the same ones in any order of reports", () => {
    const many = Array.from({ length: maxCopiedGroups + 5 }, (_, n) => `239.1.${n >> 8}.${n & 255}`);
    const one = groupEntries(blue, [host(2, ...many)], [], [own]);
    const reversed = groupEntries(blue, [host(2, ...many.toReversed())], [], [own]);
    expect([one.entries.size, one.leftOut]).toEqual([maxCopiedGroups, 5]);
    expect([...reversed.entries.keys()]).toEqual([...one.entries.keys()]);
  });

  test("the sets of other hosts follow whole ones and changes", () => {
    const tables = new GroupTables();
    const change = { joined: [group], left: [], whole: false };
    tables.take(blue, [{ host: "b", ...change }]);
    expect(tables.of(blue, "b")).toEqual({ isWhole: false, groups: new Set([group]) });
    tables.take(blue, [{ host: "b", whole: true, joined: [other], left: [] }]);
    expect(tables.of(blue, "b")).toEqual({ isWhole: true, groups: new Set([other]) });
    tables.take(blue, [{ host: "b", whole: false, joined: [], left: [other] }]);
    expect([tables.hostsOf(blue, other), tables.of(blue, "c")]).toEqual([[], undefined]);
    tables.forget(blue, "b");
    expect(tables.of(blue, "b")).toBeUndefined();
  });
});

describe("explain of a group", () => {
  const blue = vni(100);
  const mac = groupMac(group) as BroadcastEntry["mac"];
  const entry: BroadcastEntry = { kind: "broadcast", vni: blue, mac, vtep: vtep("192.0.2.2"), vtepPort: 4789 };
  const told = { name: "blue", vni: blue, mtu: 1_450, revision: rev(1), broadcast: "replicate" as const };
  const found = { group, ports: ["tap7"], hosts: ["b"], destinations: ["192.0.2.2"] };
  const facts = {
    ...healthy,
    to: parseDestination(group),
    inventory: { ...(healthy.inventory as Extract<typeof healthy.inventory, { from: unknown }>), to: undefined },
    told,
    broadcast: { state: "copied" as const, destinations: ["192.0.2.2", "192.0.2.3"], limited: [] },
    group: found,
    kernel: {
      ...healthyKernel,
      portOfTo: undefined,
      tables: { entries: [actual(entry)], unresolved: [], floods: false },
    },
  };
  const checksOf = (fields: object) => explain({ ...facts, ...fields } as typeof healthy).checks;

  test("says where its members are, and whether the kernel copies to them", () => {
    const says = checksOf({}).map((check) => check.says);
    expect(says).toContain("239.1.2.3 has members on b, and is copied to 192.0.2.2; its members here are behind tap7");
    expect(says).toContain("nmv100 has all 1");
    const missing = checksOf({ group: { ...found, destinations: ["192.0.2.2", "192.0.2.3"] } });
    expect(missing.find(({ state }) => state === "wrong")?.says).toBe(
      "nmv100 does not copy frames to 01:00:5e:01:02:03 to 192.0.2.3",
    );
  });

  test("says why not: no member elsewhere, a group of one link, a network without copies", () => {
    const noted = (fields: object) =>
      checksOf(fields)
        .map(({ says }) => says)
        .join("; ");
    expect(noted({ group: { ...found, ports: [], hosts: [], destinations: [] } })).toContain(
      "no guest of another host has joined 239.1.2.3, as far as this host was sent; no guest of this host has joined it",
    );
    expect(noted({ group: { ...found, group: parseGroup("ff02::1") } })).toContain("it is for all nodes of one link");
    const { broadcast: _, ...quiet } = told;
    expect(noted({ told: quiet })).toContain("broadcasts of blue stay on their host: its broadcast is off");
  });
});
