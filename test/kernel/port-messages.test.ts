// Messages about ports that are read late, when the port has already returned.
import { pino } from "pino";
import { beforeAll, expect, test } from "vitest";
import { BridgePorts } from "../../node-agent/kernel/devices/bridge-ports.ts";
import { Links } from "../../node-agent/kernel/devices/links.ts";
import { HostPorts } from "../../node-agent/networks/host-ports.ts";
import { HeldAnswers } from "../../node-agent/tables/held.ts";
import { aliasOfPinned } from "../../node-agent/tables/pins.ts";
import { PreparedGuests } from "../../node-agent/tables/prepared-guests.ts";
import type { Answer } from "../../schema/address/index.ts";
import { mac, rev, vni } from "../support/addresses.ts";
import { agentNetwork, describeKernel, epoch, kernelHost, localVtep } from "../support/kernel.ts";

const blue = vni(100);
const one = mac("52:54:00:00:00:01");
const alias = aliasOfPinned({ learning: true, flood: true });

describeKernel("a pinned port", () => {
  const host = kernelHost();
  const held = new HeldAnswers();
  let links: Links;
  let ports: HostPorts;

  const answer = (revision: number, isHere: boolean): Answer => ({
    key: { kind: "mac", vni: blue, mac: one },
    revision: rev(revision),
    binding: isHere ? { mac: one, host: "a", ...localVtep, local: true, guestPort: "tap1" } : null,
  });
  const port = async () => {
    const link = await links.find({ name: "tap1" });
    if (!link) throw new Error("tap1 is gone");
    return link;
  };

  beforeAll(async () => {
    const { devices, requests, namespace } = host;
    await devices.ensure(agentNetwork(100, { name: "blue" }), localVtep, epoch);
    await namespace.ip("link add tap1 type veth peer name guest1", "link set tap1 master nmb100 up");
    links = new Links(requests);
    const bridgePorts = new BridgePorts(requests);
    const registered = { prepared: new PreparedGuests() };
    ports = new HostPorts({ devices, bridgePorts, held, registered, log: pino({ level: "silent" }) });
    held.take([answer(1, true)], 0);
    await ports.settle(blue);
    expect(await port()).toMatchObject({ alias, portLearning: false, portFlood: false });
  });

  test("that had left and is back keeps the record of its former settings, and gets them back when its VM is deleted", async () => {
    const { master: _, portLearning: _l, portFlood: _f, ...left } = await port();
    ports.onLink(left, false);
    await ports.settle(blue);
    expect(await port()).toMatchObject({ alias, portLearning: false, portFlood: false });
    held.take([answer(2, false)], 0);
    await ports.settle(blue);
    const after = await port();
    expect(after).toMatchObject({ portLearning: true, portFlood: true });
    expect(after.alias).toBeUndefined();
  });

  test("whose alias was removed gets the kernel's defaults when its VM is deleted", async () => {
    held.take([answer(3, true)], 0);
    await ports.settle(blue);
    await host.namespace.ip('link set tap1 alias ""');
    held.take([answer(4, false)], 0);
    await ports.settle(blue);
    expect(await port()).toMatchObject({ portLearning: true, portFlood: true });
  });

  test("that has left for good loses our record of it", async () => {
    held.take([answer(5, true)], 0);
    await ports.settle(blue);
    await host.namespace.ip("link set tap1 nomaster");
    ports.onLink(await port(), false);
    await ports.settle(blue);
    expect((await port()).alias).toBeUndefined();
  });
});
