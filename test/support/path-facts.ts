// The facts about a path on which nothing is wrong: host a, network blue, 10.20.1.1 here, 10.20.1.2 on host b.
import type { Link } from "../../node-agent/kernel/codec/link-codec.ts";
import type { KernelFacts, PathFacts } from "../../node-agent/status/facts.ts";
import type { Registered } from "../../node-agent/status/inventory.ts";
import type { ActualEntry, Entry } from "../../node-agent/tables/entry.ts";
import { parseSubnet } from "../../schema/address/index.ts";
import { ip, mac, rev, vni, vtep } from "./addresses.ts";

export const blue = vni(100);
export const from = ip("10.20.1.1");
export const to = ip("10.20.1.2");
export const macOfFrom = mac("52:54:00:00:00:01");
export const macOfTo = mac("52:54:00:00:00:02");

export const link = (ifindex: number, name: string, fields: Partial<Link> = {}): Link => ({
  ifindex,
  name,
  up: true,
  carrier: true,
  mtu: 1_500,
  addressless: true,
  ...fields,
});

export const vxlanSettings = {
  vni: blue,
  local: vtep("192.0.2.1"),
  port: 4789,
  learning: false,
  proxy: true,
  l2miss: true,
  l3miss: true,
} as const;

export const registeredFrom: Registered = {
  vm: "web-1",
  host: "a",
  mac: macOfFrom,
  vtep: vtep("192.0.2.1"),
  vtepPort: 4789,
  revision: rev(4),
  hostConnected: true,
};
export const registeredTo: Registered = {
  ...registeredFrom,
  vm: "db-1",
  host: "b",
  mac: macOfTo,
  vtep: vtep("192.0.2.2"),
  revision: rev(5),
};

export const neighbour: Entry = { kind: "neighbour", vni: blue, ip: to, mac: macOfTo };
export const tunnel: Entry = { kind: "tunnel", vni: blue, mac: macOfTo, vtep: vtep("192.0.2.2"), vtepPort: 4789 };
export const bridgeEntry: Entry = { kind: "bridge", vni: blue, mac: macOfTo };
export const actual = (entry: Entry, fields: Partial<ActualEntry> = {}): ActualEntry => ({
  entry,
  own: true,
  lasting: true,
  ...fields,
});

export const healthyKernel: KernelFacts = {
  underlay: link(2, "eth0"),
  bridge: link(3, "nmb100", { kind: "bridge", mtu: 1_450 }),
  vxlan: link(4, "nmv100", { kind: "vxlan", master: 3, portLearning: false, vxlan: vxlanSettings }),
  rivals: [],
  vxlanAddresses: [],
  ports: [link(5, "vnet0", { master: 3, mtu: 1_450 })],
  tables: { entries: [neighbour, tunnel, bridgeEntry].map((entry) => actual(entry)), unresolved: [], floods: false },
  portOfFrom: { mac: macOfFrom, port: "vnet0", isTunnel: false },
  portOfTo: { mac: macOfTo, port: "nmv100", isTunnel: true },
  bridgeFilter: false,
  legacyFilter: false,
  legacyTables: [],
  underlayPrograms: [],
  filterProblems: [],
  adopted: false,
};

const network = { name: "blue", vni: blue, mtu: 1_450 } as const;

export const registered = {
  kind: "read",
  network: { ...network, subnets: [parseSubnet("10.20.1.0/24")] },
  from: registeredFrom,
  to: registeredTo,
} as const;

export const healthy: PathFacts = {
  host: "a",
  network: "blue",
  from,
  to,
  session: { controller: "http://192.0.2.10:4788/", state: "connected", connectedForMs: 1_000, asOf: 7 },
  inventory: registered,
  told: { ...network, revision: rev(1) },
  tunnelEnd: { vtep: vtep("192.0.2.1"), vtepPort: 4789 },
  memory: {
    from: { kind: "local", key: { kind: "ip", vni: blue, ip: from }, mac: macOfFrom, revision: rev(4), sinceMs: 0 },
    to: {
      kind: "remote",
      key: { kind: "ip", vni: blue, ip: to },
      mac: macOfTo,
      vtep: vtep("192.0.2.2"),
      vtepPort: 4789,
      revision: rev(5),
      sinceMs: 0,
    },
  },
  kernel: healthyKernel,
  guests: {},
  conditions: [],
  tunnelFilters: [],
};

/** With other facts about the kernel. */
export const withKernel = (fields: Partial<KernelFacts>): PathFacts => ({
  ...healthy,
  kernel: { ...healthyKernel, ...fields },
});
