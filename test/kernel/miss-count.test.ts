import { beforeAll, expect, test } from "vitest";
import { MissCount } from "../../testkit/bench/first-packet/miss-count.ts";
import { arp } from "../../testkit/lab/frames.ts";
import { openPacketSocket, type PacketSocket } from "../../testkit/lab/packets.ts";
import { agentNetwork, describeKernel, epoch, kernelHost, localVtep } from "../support/kernel.ts";

describeKernel("the count of misses beside an agent", () => {
  const host = kernelHost();
  let guest: PacketSocket;

  beforeAll(async () => {
    await host.devices.ensure(agentNetwork(100), localVtep, epoch);
    await host.namespace.ip(
      "link add tap type veth peer name guest",
      "link set tap addrgenmode none master nmb100",
      "link set guest addrgenmode none",
      "link set tap up",
      "link set guest up",
    );
    guest = await openPacketSocket(host.namespace, "guest");
  });

  const ask = (targetIp: string) =>
    guest.inject(arp({ operation: "request", senderMac: "52:54:00:00:00:01", senderIp: "10.20.1.1", targetIp }));

  test("has those of the given addresses, up to its end, and no others", async () => {
    const count = new MissCount([host.namespace], ["10.20.1.2", "10.20.1.3"]);
    for (const ip of ["10.20.1.2", "10.20.1.4", "10.20.1.3", "10.20.1.2"]) ask(ip);
    expect(await count.end()).toBe(3);
    ask("10.20.1.2");
    const later = new MissCount([host.namespace], ["10.20.1.2"]);
    expect(await later.end()).toBe(0);
  });
});
