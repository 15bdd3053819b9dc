// Every row of the tables of docs/kernel.md that decides whether a host forwards has a test that sets it wrong. The rows of attributes are
// walked by test/kernel/forwarding-state.test.ts as the code has them (forwarding-attributes.test.ts compares page and code).
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const heading = "| What else | Changed by others | How it is noticed |\n|---|---|---|\n";
const state = "test/kernel/forwarding-state.test.ts";

/** By the first words of the row: titles of the cases, by file. */
const cases: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  "both devices: up, name, bridge membership": {
    [state]: [
      "tunnel down",
      "bridge down",
      "tunnel out of its bridge",
      "automatic address of the tunnel",
      "automatic address of the bridge",
      "MTU of the tunnel",
      "local of the tunnel",
      "learning of the tunnel",
      "tunnel without ARP",
      "tunnel protodown",
    ],
    "test/kernel/repair.test.ts": ["the vxlan device renamed", "the bridge renamed"],
  },
  "IPv6 of the tunnel": { [state]: ["IPv6 of the tunnel", "IPv6 of all devices"] },
  "the tunnel's VNI, port": {
    "test/kernel/devices.test.ts": ["a vxlan device of ours without a flag that cannot be changed is recreated"],
    "test/kernel/changed-hosts.test.ts": ["port"],
  },
  "the filter on the bridge, rules": {
    [state]: ["filter of the bridge"],
    "test/kernel/anti-spoof.test.ts": ["cannot spoof while the firewall is reloaded"],
    "test/kernel/broadcast.test.ts": ["rules that another program removes are loaded again"],
  },
  "entries of the agent: neighbours": {
    [state]: [
      "neighbour of the tunnel",
      "FDB entry of the tunnel",
      "FDB entry of the bridge",
      "an entry of the agent replaced by one with nexthops",
    ],
    "test/kernel/ports.test.ts": ["may change its port"],
  },
  "entries of the broadcast address": {
    "test/kernel/broadcast.test.ts": ["another program's destinations are removed and its deletions put back"],
  },
  "an all-zeros FDB entry": {
    [state]: [
      "an all-zeros entry of the tunnel's FDB",
      "an FDB entry with nexthops",
      "a neighbour that is not permanent",
    ],
  },
  "an address on the bridge": { [state]: ["an address on the bridge", "an address on the tunnel"] },
  "an XDP program on the bridge": { [state]: ["xdp by netlink", "xdp by a link"] },
  "a program that is attached to the tunnel by tcx": { [state]: ["tcx in by a link", "tcx out by attach"] },
  "a macvlan, ipvlan or VLAN device": { [state]: ["a macvlan device on the bridge"] },
  "a filter of traffic control": {
    [state]: ["a filter of another program", "a queueing discipline of another program on the tunnel"],
  },
  "a second vxlan device of the VNI": {
    "test/kernel/operational-problems.test.ts": [
      "a second device of a network's VNI",
      "a device that blocks a new network",
    ],
  },
  "the VTEP address: present": {
    [state]: ["the underlay's link down"],
    "test/kernel/repair.test.ts": ["a VTEP address that disappears is reported"],
    "test/kernel/underlays.test.ts": ["moves from a link to a bridge above it"],
  },
  "the MTU on the routes": {
    "test/kernel/underlays.test.ts": ["follows the link's MTU, down and up", "takes the smaller MTU of two uplinks"],
  },
  "routes and rules towards the VTEPs": { [state]: ["a route to another host that is a blackhole"] },
  "FORWARD chains with policy drop": { "test/kernel/host-filter.test.ts": ["for one bridge alone is reported too"] },
  "chains of the families inet": {
    [state]: ["a chain that drops tunnelled packets"],
    "test/kernel/tunnel-filter.test.ts": ["drops what this host sends: it is named"],
  },
  "the table of tracked connections": { [state]: ["a full table of tracked connections"] },
  "guests that send, or do not": { "test/kernel/guest-watch.test.ts": ["that sends without being registered"] },
};

const rows = (() => {
  const [, after = ""] = readFileSync("docs/kernel.md", "utf8").split(heading);
  const table = after.slice(0, after.search(/^(?!\|)/m));
  return table
    .trim()
    .split("\n")
    .map((line) => line.slice(2).replaceAll("`", ""));
})();

test("every row of the page is walked by a test, and no test is listed for a row that is gone", () => {
  expect(rows.length).toBeGreaterThan(10);
  const beginnings = Object.keys(cases);
  const beginningsOf = (row: string) => beginnings.filter((each) => row.startsWith(each));
  expect(rows.filter((row) => beginningsOf(row).length !== 1)).toEqual([]);
  expect(beginnings.filter((each) => !rows.some((row) => row.startsWith(each)))).toEqual([]);
});

test.each(Object.entries(cases))("%s: its cases are there", (_, files) => {
  for (const [file, titles] of Object.entries(files)) {
    const text = readFileSync(file, "utf8");
    expect(titles.filter((title) => !text.includes(title))).toEqual([]);
  }
});
