import { describe, expect, test } from "vitest";
import { DeviceError } from "../../node-agent/kernel/devices/device-problems.ts";
import { ip, mac, vni, vtep } from "../support/addresses.ts";
import { agentNetwork, describeKernel, epoch, kernelHost, localVtep } from "../support/kernel.ts";

interface ShownLink {
  ifindex: number;
  address: string;
  mtu: number;
  ifalias?: string;
  master?: string;
  inet6_addr_gen_mode: string;
  flags: string[];
  linkinfo: { info_data: Record<string, unknown>; info_slave_data?: Record<string, unknown> };
}

describeKernel("devices of a network", () => {
  const host = kernelHost();

  async function show(device: string): Promise<ShownLink> {
    const [link] = JSON.parse(
      await host.namespace.exec(["ip", "-details", "-json", "link", "show", device]),
    ) as ShownLink[];
    if (!link) throw new Error(`no ${device}`);
    return link;
  }

  /** The properties of a device without its timers. */
  async function identity(device: string) {
    const { ifindex, address, ifalias, mtu, flags, linkinfo } = await show(device);
    return { ifindex, address, ifalias, mtu, flags, id: linkinfo.info_data.id };
  }

  test("bridge and vxlan are set up as the kernel needs them", async () => {
    expect(await host.devices.ensure(agentNetwork(101, { name: "blue" }), localVtep, epoch)).toEqual([]);
    const vxlan = await show("nmv101");
    expect(vxlan).toMatchObject({
      mtu: 1500,
      ifalias: `nearmiss blue ${epoch}`,
      master: "nmb101",
      inet6_addr_gen_mode: "none",
    });
    expect(vxlan.flags).toContain("UP");
    const { learning, proxy, l2miss, l3miss, id, local, port } = vxlan.linkinfo.info_data;
    expect({ learning, proxy, l2miss, l3miss, id, local, port }).toEqual({
      learning: false,
      proxy: true,
      l2miss: true,
      l3miss: true,
      id: 101,
      local: "192.0.2.200",
      port: 4789,
    });
    expect(vxlan.linkinfo.info_slave_data).toMatchObject({ learning: false });
    const bridge = await show("nmb101");
    expect(bridge).toMatchObject({ ifalias: `nearmiss blue ${epoch}`, inet6_addr_gen_mode: "none" });
    expect(bridge.linkinfo.info_data).toMatchObject({ mcast_snooping: 0 });
    expect(bridge.flags).toContain("UP");
    const addresses = await host.namespace.exec(["ip", "-o", "address", "show"]);
    expect(addresses).not.toMatch(/nm[bv]101/);
  });

  test("setting up again changes nothing: same devices, same MACs, entries kept", async () => {
    await host.devices.ensure(agentNetwork(102), localVtep, epoch);
    const before = [await identity("nmb102"), await identity("nmv102")];
    const entry = { kind: "neighbour", vni: vni(102), ip: ip("10.20.1.1"), mac: mac("52:54:00:00:00:01") } as const;
    await host.tables.apply([{ verb: "put", entry }]);
    await host.devices.ensure(agentNetwork(102), localVtep, epoch);
    expect([await identity("nmb102"), await identity("nmv102")]).toEqual(before);
    expect(await host.tables.list(vni(102))).toContainEqual({ entry, own: true, lasting: true });
  });

  test("several networks share one UDP port, over IPv4 and over IPv6", async () => {
    for (const number of [103, 104]) await host.devices.ensure(agentNetwork(number), localVtep, epoch);
    const v6 = { vtep: vtep("2001:db8::200"), vtepPort: 4789 };
    expect(await host.devices.ensure(agentNetwork(105, { mtu: 1430 }), v6, epoch)).toEqual([]);
    expect((await show("nmv105")).linkinfo.info_data).toMatchObject({ local6: "2001:db8::200", port: 4789 });
  });

  test("a network's MTU that does not fit the underlay is reported with the fix", async () => {
    expect(await host.devices.ensure(agentNetwork(106, { name: "jumbo", mtu: 1451 }), localVtep, epoch)).toEqual([
      {
        kind: "mtu-too-large",
        reason: "underlay",
        vni: 106,
        values: { device: "under", mtu: "1451", underlay: "1500", most: "1450", needed: "1501" },
        says: "network jumbo: MTU 1451 does not fit the underlay's 1500; if other hosts have more, raise that of under here to 1501; otherwise raise it on all hosts and switches, or set the network's MTU, and that of its guests, to 1450 or less",
      },
    ]);
  });

  test("a VTEP that no interface has is reported", async () => {
    const problems = await host.devices.ensure(agentNetwork(107), { vtep: vtep("192.0.2.201"), vtepPort: 4789 }, epoch);
    expect(problems).toEqual([
      {
        kind: "vtep-missing",
        reason: "missing",
        values: { vtep: "192.0.2.201" },
        says: "no interface of this host has the VTEP address 192.0.2.201: packets to it are lost; register the host with the address that it has, or, if no other machine has it (on another host, ping -c 3 192.0.2.201 gets no answer), add it (ip address add 192.0.2.201/… dev …)",
      },
    ]);
  });

  test("a vxlan device of ours without a flag that cannot be changed is recreated", async () => {
    await host.namespace.ip(
      "link add nmv108 type vxlan id 108 local 192.0.2.200 dstport 4789 learning",
      "link set nmv108 alias nearmiss",
    );
    await host.namespace.ip('link set nmv108 alias "nearmiss net108"');
    await host.devices.ensure(agentNetwork(108), localVtep, epoch);
    expect((await show("nmv108")).linkinfo.info_data).toMatchObject({ proxy: true, l3miss: true, learning: false });
  });

  test("a changed VTEP is set on the live device, and its entries stay", async () => {
    await host.devices.ensure(agentNetwork(109), localVtep, epoch);
    const entry = { kind: "bridge", vni: vni(109), mac: mac("52:54:00:00:00:01") } as const;
    await host.tables.apply([{ verb: "put", entry }]);
    await host.devices.ensure(agentNetwork(109), { vtep: vtep("192.0.2.202"), vtepPort: 4789 }, epoch);
    expect((await show("nmv109")).linkinfo.info_data).toMatchObject({ local: "192.0.2.202" });
    expect(await host.tables.list(vni(109))).toContainEqual({ entry, own: true, lasting: true });
  });

  describe("foreign devices", () => {
    test.each([
      ["nmb110", "link add nmb110 type bridge", "link set nmb110 up"],
      ["nmv110", "link add nmv110 type vxlan id 7110 dstport 14789", "link set nmv110 alias mine"],
    ])("%s of a third party is refused by name and left alone", async (name, ...commands) => {
      await host.namespace.ip(...commands);
      const before = await identity(name);
      await expect(host.devices.ensure(agentNetwork(110), localVtep, epoch)).rejects.toThrow(DeviceError);
      await expect(host.devices.ensure(agentNetwork(110), localVtep, epoch)).rejects.toThrow(
        `nearmiss agent remove ${name}`,
      );
      expect(await identity(name)).toEqual(before);
      await host.namespace.ip(`link del ${name}`);
    });
  });

  test("after the last VM is gone both devices are deleted, but never a bridge with a foreign port", async () => {
    for (const number of [111, 112]) await host.devices.ensure(agentNetwork(number), localVtep, epoch);
    await host.namespace.ip("link add tap112 type veth peer name peer112", "link set tap112 master nmb112");
    await host.devices.remove(vni(111));
    await host.devices.remove(vni(112));
    const left = host.namespace.interfaces().filter((name) => /^nm[bv]11[12]$/.test(name));
    expect(left).toEqual(["nmb112"]);
    expect(host.devices.deviceOf(vni(112))).toBeUndefined();
  });
});
