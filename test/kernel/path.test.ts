import { createServer } from "node:net";
import { beforeAll, expect, test } from "vitest";
import { controllerReader } from "../../node-agent/identity/read.ts";
import { explain } from "../../node-agent/status/explain.ts";
import { gatherPath } from "../../node-agent/status/gather.ts";
import { HeldAnswers } from "../../node-agent/tables/held.ts";
import { Replicas } from "../../node-agent/tables/replicas.ts";
import type { Answer, Vni } from "../../schema/address/index.ts";
import { ip, mac, rev, vni, vtep } from "../support/addresses.ts";
import { agentNetwork, describeKernel, epoch, kernelHost, localVtep } from "../support/kernel.ts";
import { noBroadcasts } from "../support/no-broadcasts.ts";

const mac1 = "52:54:00:00:00:01";
const mac2 = "52:54:00:00:00:02";
const _mac3 = "52:54:00:00:00:03";

/** A running agent repairs these within milliseconds. Here none is running. */
describeKernel("a path without an agent that repairs it", () => {
  const host = kernelHost();
  const held = new HeldAnswers();
  const from = ip("10.20.1.1");
  const to = ip("10.20.1.2");
  const remote = { mac: mac(mac2), host: "b", vtep: vtep("192.0.2.2"), vtepPort: 4789 };
  // There is no controller, so memory replaces the inventory.
  const refused = createServer();
  let controller: URL;
  let next = 1;

  beforeAll(async () => {
    await new Promise<void>((resolve) => refused.listen(0, "127.0.0.1", resolve));
    const address = refused.address();
    controller = new URL(`http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`);
    await new Promise((resolve) => refused.close(resolve));
  });

  /** A separate network with a guest's port, and the entries for `to`. */
  async function prepare(): Promise<Vni> {
    const on = vni(700 + next++);
    await host.devices.ensure(agentNetwork(on), localVtep, epoch);
    await host.namespace.ip(`link add p${on} type veth peer name q${on}`, `link set p${on} master nmb${on} up`);
    const answers: Answer[] = [
      { key: { kind: "ip", vni: on, ip: from }, revision: rev(1), binding: { ...remote, mac: mac(mac1), local: true } },
      { key: { kind: "ip", vni: on, ip: to }, revision: rev(2), binding: remote },
    ];
    const { operations } = held.take(answers, 0);
    for (const result of await host.tables.apply(operations)) expect(result.ok).toBe(true);
    return on;
  }

  async function wrong(on: Vni): Promise<string[]> {
    const { requests, devices } = host;
    const facts = await gatherPath(
      {
        host: "a",
        controller,
        readController: controllerReader(controller, () => undefined),
        requests,
        devices,
        held,
        replicas: new Replicas({ random: () => 0 }),
        broadcasts: noBroadcasts,
        groups: { portsOf: () => [] },
        groupTables: { hostsOf: () => [] },
        replication: { stateOf: () => undefined, aloneForMsOf: () => undefined },
        networks: { conditions: [] },
        conditions: { list: [] },
        register: { list: () => [] },
        registered: { list: () => [agentNetwork(on)], tunnelEnd: localVtep },
        resolver: { budgets: () => ({ host: 1, networks: [], guests: [] }) },
        reporter: { list: () => [] },
        filterProblems: () => [],
        position: () => ({ link: { kind: "connected", sinceMs: 0 } }),
        nowMs: () => 0,
      },
      { network: `net${on}`, from, to },
    );
    return explain(facts).checks.flatMap(({ name, state, says }) => (state === "wrong" ? [`${name}: ${says}`] : []));
  }

  test.each<[string, string[], RegExp]>([
    ["the vxlan device down", ["ip link set nmvN down"], /^vxlan: nmvN is down/],
    ["the bridge down", ["ip link set nmbN down"], /^bridge: the bridge nmbN is down/],
    ["the vxlan device deleted", ["ip link del nmvN"], /^vxlan: the vxlan device nmvN does not exist/],
    ["the bridge deleted", ["ip link del nmbN"], /^bridge: the bridge nmbN does not exist/],
    ["learning", ["ip link set nmvN type vxlan id N learning"], /^vxlan: nmvN learns from the wire/],
    [
      "another local address",
      ["ip link set nmvN type vxlan id N local 192.0.2.77"],
      /^vxlan: nmvN sends from 192\.0\.2\.77/,
    ],
    [
      "a device without miss messages",
      ["ip link del nmvN", "ip link add nmvN master nmbN up type vxlan id N local 192.0.2.200 dstport 4789 nolearning"],
      /^vxlan: nmvN is without proxy and l2miss and l3miss/,
    ],
    [
      "a second device of the VNI",
      ["ip link add otherN up type vxlan id N local 2001:db8::200 dstport 4789"],
      /^vxlan: otherN has VNI N as well/,
    ],
    ["an address on the device", ["ip address add 10.20.1.250/24 dev nmvN"], /^vxlan: nmvN has an address of the host/],
    [
      "a flood default",
      ["bridge fdb append 00:00:00:00:00:00 dev nmvN dst 192.0.2.9 self"],
      /^vxlan: nmvN has an all-zeros FDB entry/,
    ],
    ["no membership", ["ip link set nmvN nomaster"], /^tunnel port: nmvN is not a port of any bridge/],
    ["a port that learns", ["bridge link set dev nmvN learning on"], /^tunnel port: nmbN learns on nmvN/],
    ["no guest attached", ["ip link set pN nomaster"], /^source port: nmbN has no guest port/],
    ["a neighbour deleted", ["ip neigh del 10.20.1.2 dev nmvN"], /^neighbour entry: .* has no neighbour entry/],
    [
      "a neighbour that points elsewhere",
      ["ip neigh replace 10.20.1.2 lladdr 52:54:00:00:00:66 dev nmvN nud permanent"],
      /^neighbour entry: .* at 52:54:00:00:00:66, it should be/,
    ],
    [
      "a neighbour made reachable, as tutorials do",
      [`ip neigh replace 10.20.1.2 lladdr ${mac2} dev nmvN nud reachable`],
      /^neighbour entry: .* not permanently/,
    ],
    [
      "a neighbour that failed",
      ["ip neigh del 10.20.1.2 dev nmvN", "ip neigh add 10.20.1.2 dev nmvN nud failed"],
      /^neighbour entry: .* without a MAC/,
    ],
    [
      "a tunnel entry deleted",
      [`bridge fdb del ${mac2} dev nmvN dst 192.0.2.2 self`],
      /^FDB entry \(self\): .* does not know the VTEP/,
    ],
    [
      "a tunnel entry that points elsewhere",
      [`bridge fdb replace ${mac2} dev nmvN dst 192.0.2.9 self`],
      /^FDB entry \(self\): nmvN sends frames for .* to 192\.0\.2\.9:4789/,
    ],
    [
      "a bridge entry deleted",
      [`bridge fdb del ${mac2} dev nmvN master`],
      /^FDB entry \(master\): .* floods its frames/,
    ],
    [
      "a bridge entry on a guest's port",
      [`bridge fdb replace ${mac2} dev pN master static`],
      /^FDB entry \(master\): the bridge has .* behind pN/,
    ],
    ["a tunnel at the network's MTU", ["ip link set nmvN mtu 1450"], /^MTU: nmvN has MTU 1450/],
  ])("%s is reported", async (_, commands, expected) => {
    const on = await prepare();
    // The controller is away in all of them.
    expect(await wrong(on)).toEqual([expect.stringMatching(/^inventory: /)]);
    for (const command of commands) {
      const words = command.replace(/N\b/g, String(on)).split(" ");
      await host.namespace.exec(words as [string, ...string[]]);
    }
    const [, first] = await wrong(on);
    expect(first).toMatch(new RegExp(expected.source.replace(/N\b/g, String(on))));
    await host.devices.remove(on);
    await host.namespace.ip(`link del p${on}`);
  });

  test("an underlay that is down is reported", async () => {
    const on = await prepare();
    await host.namespace.ip("link set under down");
    expect((await wrong(on))[1]).toMatch(/^tunnel end: under, which has 192\.0\.2\.200, is down/);
    await host.namespace.ip("link set under up");
    expect(await wrong(on)).toHaveLength(1);
  });
});
