// Everything on a host that decides whether a network's frames are forwarded, as docs/kernel.md lists it: each row is set wrong, by
// another program's commands, and is restored or reported within two seconds.
import { spawnSync } from "node:child_process";
import { beforeAll, beforeEach, expect, test } from "vitest";
import {
  bridgeAttributes,
  type ForwardingAttribute,
  guestPortAttributes,
  tunnelPortAttributes,
} from "../../node-agent/kernel/codec/forwarding-attributes.ts";
import { askAgent } from "../../node-agent/status/client.ts";
import type { Explanation } from "../../node-agent/status/explanation.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import type { Host } from "../../testkit/lab/host.ts";
import { underlayDevice } from "../../testkit/lab/underlay.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { attachProgram } from "../support/bpf.ts";
import { cluster, statusOf } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";
import { fillTracking } from "../support/tracking.ts";

/** From the change, or from the moment in which a stopped agent runs again. */
const deadlineMs = 2_000;

type Command = readonly [string, ...string[]];
type Change = () => Command | Promise<void>;
/** What is changed, how, what is said of it, and how it is undone. */
type Reported = readonly [string, Change, RegExp, Change];

const nexthops = "ip nexthop replace id 7 via 192.0.2.77 fdb; ip nexthop replace id 77 group 7 fdb";
const mac2 = "52:54:00:00:00:02";
const overMac2 = `bridge fdb del ${mac2} dev nmv100 self; bridge fdb add ${mac2} dev nmv100 nhid 77 self`;

/** A kernel built without a feature refuses its attribute, so it cannot be set wrong there. */
const takesIt = (name: string): boolean =>
  spawnSync("unshare", [
    "--net",
    "sh",
    "-c",
    `ip link add bridge0 type bridge && ip link set bridge0 type bridge ${name} 0`,
  ]).status === 0;

describeKernel("what decides whether a host forwards", () => {
  const it = cluster({ hosts: 2, underlay: 4 });
  let guest: Guest;
  let a: Host;
  let right: string;

  beforeAll(async () => {
    await it.network("blue", 100);
    a = it.lab.host("a");
    guest = await it.vm("blue-1", "a", "blue", 100, "52:54:00:00:00:01", ["10.20.1.1/24", "fd00:20::1/64"]);
    await it.vm("blue-2", "b", "blue", 100, mac2, ["10.20.1.2/24", "fd00:20::2/64"]);
    expect((await guest.ping("10.20.1.2")).received).toBe(1);
    expect((await guest.ping("fd00:20::2")).received).toBe(1);
    right = await state();
  });

  beforeEach(async () => {
    expect(await problems()).toEqual([]);
    expect(await state()).toBe(right);
  });

  const run = (command: Command): Promise<string> => a.exec([...command] as [string, ...string[]]);
  const problems = async (): Promise<readonly string[]> => (await statusOf(a)).problems;

  /** The devices and entries of the network, without counters. */
  async function state(): Promise<string> {
    const links: unknown[] = [];
    for (const device of ["nmb100", "nmv100"]) {
      const [link] = JSON.parse(await run(["ip", "-d", "-j", "link", "show", device])) as Record<string, unknown>[];
      const { linkinfo, flags, mtu, master, proto_down, inet6_addr_gen_mode } = link as Record<string, never>;
      links.push({
        linkinfo: JSON.stringify(linkinfo, (key, value) => (/timer/.test(key) ? 0 : value)),
        flags,
        mtu,
        master,
        proto_down,
        inet6_addr_gen_mode,
      });
    }
    const port = await run(["bridge", "-d", "link", "show", "dev", "nmv100"]);
    return JSON.stringify([
      links,
      port,
      await it.entries("a", 100),
      await run(["tc", "filter", "show", "dev", "nmb100", "ingress"]),
      await run(["cat", "/proc/sys/net/ipv6/conf/nmv100/disable_ipv6"]),
    ]);
  }

  async function bothFamiliesPass(): Promise<void> {
    // A guest drops its own entries when its port loses its carrier.
    expect((await guest.ping("10.20.1.2", { count: 2, intervalMs: 100 })).received).toBeGreaterThan(0);
    expect((await guest.ping("fd00:20::2", { count: 2, intervalMs: 100 })).received).toBeGreaterThan(0);
  }

  const onOff = (value: number): string => (value === 0 ? "off" : "on");
  const toggled = ({ wanted }: ForwardingAttribute): number => (wanted === 0 ? 1 : 0);
  const viaSysfs = (device: string, file: string, value: number): Command => [
    "sh",
    "-c",
    `echo ${value} > /sys/class/net/${device}/brport/${file}`,
  ];
  /** iproute2 has no word for it. */
  const onlyInSysfs: Readonly<Record<string, string>> = { proxy_arp: "proxyarp", proxy_arp_wifi: "proxyarp_wifi" };
  const setPort = (device: string, row: ForwardingAttribute): Command => {
    const file = onlyInSysfs[row.name];
    if (file) return viaSysfs(device, file, toggled(row));
    const value = row.name === "state" ? "0" : onOff(toggled(row));
    return ["bridge", "link", "set", "dev", device, row.name, value];
  };
  const resetPort = (device: string, row: ForwardingAttribute): Command => {
    const file = onlyInSysfs[row.name];
    if (file) return viaSysfs(device, file, row.wanted);
    return ["bridge", "link", "set", "dev", device, row.name, row.name === "state" ? "3" : onOff(row.wanted)];
  };

  const restored: readonly (readonly [string, Command])[] = [
    // iproute2 6.1 has no word for a bridge's limit of learned addresses, which devices.test.ts has.
    ...bridgeAttributes
      .filter(({ name }) => takesIt(name))
      .map((row): readonly [string, Command] => {
        const value = row.name === "group_fwd_mask" ? 8 : toggled(row);
        return [`${row.name} of the bridge`, ["ip", "link", "set", "nmb100", "type", "bridge", row.name, `${value}`]];
      }),
    ...tunnelPortAttributes.map((row): readonly [string, Command] => [
      `${row.name} of the tunnel's port`,
      setPort("nmv100", row),
    ]),
    ["an entry of the agent replaced by one with nexthops", ["sh", "-c", `${nexthops}; ${overMac2}`]],
    ["learning of the tunnel", ["ip", "link", "set", "nmv100", "type", "vxlan", "id", "100", "learning"]],
    ["local of the tunnel", ["ip", "link", "set", "nmv100", "type", "vxlan", "id", "100", "local", "192.0.2.77"]],
    ["MTU of the tunnel", ["ip", "link", "set", "nmv100", "mtu", "1300"]],
    ["tunnel down", ["ip", "link", "set", "nmv100", "down"]],
    ["tunnel protodown", ["ip", "link", "set", "nmv100", "protodown", "on"]],
    ["tunnel without ARP", ["ip", "link", "set", "nmv100", "arp", "off"]],
    ["tunnel out of its bridge", ["ip", "link", "set", "nmv100", "nomaster"]],
    ["bridge down", ["ip", "link", "set", "nmb100", "down"]],
    ["bridge without ARP", ["ip", "link", "set", "nmb100", "arp", "off"]],
    ["IPv6 of the tunnel", ["sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/nmv100/disable_ipv6"]],
    ["IPv6 of all devices", ["sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6"]],
    ["automatic address of the tunnel", ["ip", "link", "set", "nmv100", "addrgenmode", "eui64"]],
    ["automatic address of the bridge", ["ip", "link", "set", "nmb100", "addrgenmode", "eui64"]],
    ["neighbour of the tunnel", ["ip", "neigh", "del", "10.20.1.2", "dev", "nmv100"]],
    ["FDB entry of the tunnel", ["bridge", "fdb", "del", mac2, "dev", "nmv100", "self"]],
    ["FDB entry of the bridge", ["bridge", "fdb", "del", mac2, "dev", "nmv100", "master"]],
    ["filter of the bridge", ["tc", "qdisc", "del", "dev", "nmb100", "clsact"]],
  ];

  test.each(restored)("%s: restored", async (_, command) => {
    a.agent.signal("SIGSTOP");
    await run(command);
    const changed = await state();
    a.agent.signal("SIGCONT");
    expect(changed).not.toBe(right);
    await waitFor(async () => (await state()) === right, { what: "everything as it was", deadlineMs });
    await bothFamiliesPass();
  });

  const port = (): string => guest.port;
  const reported: readonly Reported[] = [
    ...guestPortAttributes.map(
      (row) =>
        [
          `${row.name} of a guest's port`,
          () => setPort(port(), row),
          /^network blue: the port \S+ of nmb100 .* ask who sets it so /,
          () => resetPort(port(), row),
        ] as const,
    ),
    [
      "an all-zeros entry of the tunnel's FDB",
      () => ["bridge", "fdb", "append", "00:00:00:00:00:00", "dev", "nmv100", "dst", "192.0.2.77"],
      /^network blue: nmv100 has an all-zeros FDB entry, /,
      () => ["bridge", "fdb", "del", "00:00:00:00:00:00", "dev", "nmv100", "dst", "192.0.2.77"],
    ],
    [
      "an FDB entry with nexthops",
      () => ["sh", "-c", `${nexthops}; bridge fdb add 52:54:00:00:00:77 dev nmv100 nhid 77 self`],
      /^network blue: another program has made 1 FDB entries on nmv100 .* the first for 52:54:00:00:00:77: /,
      () => ["sh", "-c", "bridge fdb del 52:54:00:00:00:77 dev nmv100 self; ip nexthop flush"],
    ],
    [
      "a neighbour that is not permanent",
      () => ["ip", "neigh", "add", "10.20.1.77", "lladdr", "52:54:00:00:00:77", "nud", "stale", "dev", "nmv100"],
      /^network blue: another program has made 1 neighbours on nmv100 .* the first for 10\.20\.1\.77; /,
      () => ["ip", "neigh", "del", "10.20.1.77", "dev", "nmv100"],
    ],
    [
      "the underlay's link down",
      () => ["ip", "link", "set", underlayDevice, "down"],
      /, which has the VTEP address 192\.0\.2\.\d+, is down: /,
      () => ["ip", "link", "set", underlayDevice, "up"],
    ],
    ...["ingress", "egress"].map(
      (way): Reported => [
        `a filter of another program, ${way} of the tunnel`,
        () => [
          "sh",
          "-c",
          `tc qdisc add dev nmv100 clsact && tc filter add dev nmv100 ${way} bpf da bytecode '1,6 0 0 2'`,
        ],
        /^network blue: a filter of another program handles the frames of nmv100, /,
        () => ["tc", "qdisc", "del", "dev", "nmv100", "clsact"],
      ],
    ),
    [
      "a queueing discipline of another program on the tunnel",
      () => ["sh", "-c", "tc qdisc add dev nmv100 root tbf rate 1mbit burst 10kb latency 10ms"],
      /^network blue: a queueing discipline of another program limits what leaves nmv100, /,
      () => ["tc", "qdisc", "del", "dev", "nmv100", "root"],
    ],
    [
      "a macvlan device on the bridge",
      () => ["ip", "link", "add", "mv0", "link", "nmb100", "type", "macvlan", "mode", "bridge"],
      /^network blue: mv0 takes its frames from nmb100, .* so it receives nothing; /,
      () => ["ip", "link", "del", "mv0"],
    ],
    [
      "a route to another host that is a blackhole",
      () => ["ip", "route", "add", "blackhole", `${it.lab.host("b").address}/32`],
      /^guests behind the host with the VTEP address 192\.0\.2\.2 cannot be reached from here: a blackhole/,
      () => ["ip", "route", "del", "blackhole", `${it.lab.host("b").address}/32`],
    ],
    [
      "a chain that drops tunnelled packets",
      () => [
        "nft",
        "add table inet f; add chain inet f c { type filter hook input priority 0; }; add rule inet f c udp dport 4789 drop",
      ],
      /^the host's packet filter \(chain inet f c\) drops UDP packets/,
      () => ["nft", "delete", "table", "inet", "f"],
    ],
    ...(
      [
        ["the tunnel", () => "nmv100", "xdp by netlink"],
        ["the bridge", () => "nmb100", "xdp by netlink"],
        ["a guest's port", port, "xdp by netlink"],
        ["the tunnel", () => "nmv100", "xdp by a link"],
        ["the bridge", () => "nmb100", "xdp by a link"],
        ["a guest's port", port, "xdp by a link"],
        ["the tunnel", () => "nmv100", "tcx in by a link"],
        ["the tunnel", () => "nmv100", "tcx out by attach"],
      ] as const
    ).map(([where, device, how]): Reported => {
      let detach = async (): Promise<void> => {};
      const said = how.startsWith("xdp") ? "an XDP program" : "a filter of another program";
      return [
        `a program at ${where}, ${how}`,
        async () => {
          detach = await attachProgram(a, device(), how);
        },
        new RegExp(`^network blue: ${said} handles the frames of \\S+`),
        () => detach(),
      ];
    }),
    [
      "an address on the bridge",
      () => ["ip", "address", "add", "10.20.1.99/24", "dev", "nmb100"],
      /^network blue: nmb100 has the address 10\.20\.1\.99, /,
      () => ["ip", "address", "flush", "dev", "nmb100"],
    ],
    [
      "an address on the tunnel",
      () => ["ip", "address", "add", "fd00:20::99/64", "dev", "nmv100", "nodad"],
      /^network blue: nmv100 has the address fd00:20::99, /,
      () => ["ip", "address", "flush", "dev", "nmv100"],
    ],
  ];

  test("what handles tunnelled packets and is not read is a note of explain", async () => {
    const add = `tc qdisc add dev ${underlayDevice} clsact; tc filter add dev ${underlayDevice} ingress bpf da bytecode '1,6 0 0 0'`;
    const notes = async () =>
      (await explained()).checks.filter(({ name }) => name === "underlay").map(({ state, says }) => `${state} ${says}`);
    const before = await notes();
    await run(["sh", "-c", add]);
    expect(await notes()).toEqual([
      `note a filter of traffic control handles the packets of ${underlayDevice}, and may drop tunnelled ones`,
      ...before,
    ]);
    await run(["tc", "qdisc", "del", "dev", underlayDevice, "clsact"]);
    if (spawnSync("iptables-legacy", ["--version"]).status !== 0) return;
    await run(["iptables-legacy", "-A", "INPUT", "-p", "udp", "--dport", "4789", "-j", "ACCEPT"]);
    expect(await notes()).toEqual(["note iptables-legacy has tables (filter), whose rules are not read"]);
    await run(["iptables-legacy", "-F"]);
  });

  test("a full table of tracked connections: reported", async () => {
    const empty = await fillTracking(a);
    const said = /^the table of tracked connections has room for \d+ and is full/;
    await waitFor(async () => (await problems()).some((text) => said.test(text)), { what: "the problem", deadlineMs });
    await empty();
    await waitFor(async () => (await problems()).length === 0, { what: "the problem to end", deadlineMs });
    await bothFamiliesPass();
  });

  const explained = async () =>
    (await askAgent(a.agentSocket, { type: "explain", network: "blue", from: "10.20.1.1", to: "10.20.1.2" }))
      .result as Explanation;

  const make = async (change: Change): Promise<void> => {
    const command = change();
    if (command instanceof Promise) await command;
    else await run(command);
  };

  test.each(reported)("%s: reported", async (name, change, said, undo) => {
    await make(change);
    await waitFor(async () => (await problems()).some((text) => said.test(text)), { what: "the problem", deadlineMs });
    if (name.includes("of another program"))
      expect((await explained()).checks).toContainEqual(
        expect.objectContaining({ name: "foreign-program", state: "note" }),
      );
    if (name.endsWith("of a guest's port")) {
      const [first] = (await explained()).checks.filter(({ state }) => state === "wrong");
      expect(first).toMatchObject({ name: "source port", fix: expect.stringContaining("ask who sets it so") });
    }
    await make(undo);
    await waitFor(async () => (await problems()).length === 0, { what: "the problem to end", deadlineMs });
    await bothFamiliesPass();
  });
});
