// Problems of a host that an operator has to fix, and guests that differ from their registration, as operational
// events.
import { beforeAll, expect, test } from "vitest";
import type { Explanation } from "../../node-agent/status/explanation.ts";
import type { OperationalCloudEvent, OperationalKind } from "../../schema/events/index.ts";
import { arp, ethernet } from "../../testkit/lab/frames.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import type { Host } from "../../testkit/lab/host.ts";
import { openPacketSocket } from "../../testkit/lab/packets.ts";
import { nearmiss } from "../../testkit/lab/programs.ts";
import { underlayDevice } from "../../testkit/lab/underlay.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { cluster } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

const mac1 = "52:54:00:00:00:01";
const mac2 = "52:54:00:00:00:02";
const stranger = "52:54:00:00:00:77";

describeKernel("an operator is informed of", () => {
  const it = cluster({ hosts: 2, underlay: 4 });
  let a: Host;
  let guest: Guest;

  beforeAll(async () => {
    a = it.lab.host("a");
    await it.network("blue", 100);
    guest = await it.vm("web-1", "a", "blue", 100, mac1, ["10.20.1.1/24", "fd00:20::1/64"]);
    await it.vm("db-1", "b", "blue", 100, mac2, ["10.20.1.2/24", "10.20.1.3/24", "fd00:20::2/64"]);
    for (const ip of ["10.20.1.2", "10.20.1.3"]) expect((await guest.ping(ip)).received).toBe(1);
  });

  async function inject(...frames: Buffer[]): Promise<void> {
    const socket = await openPacketSocket(guest, "eth0");
    for (const frame of frames) socket.inject(frame);
    socket.close();
  }

  function told(kind: OperationalKind, subject?: string): Promise<OperationalCloudEvent["data"]> {
    const find = async () => {
      const { events } = await it.call<{ events: OperationalCloudEvent[] }>("GET", "/v1/operational-events");
      return events.find(({ type, data }) => type === `nearmiss.operational.${kind}` && data.subject === subject)?.data;
    };
    return waitFor(find, { what: `the event ${kind} of ${subject}` });
  }

  test("an underlay whose MTU became too small, with the command that fixes it", async () => {
    await a.ip(`link set ${underlayDevice} mtu 1400`);
    const { network, detail } = await told("mtu-too-large", underlayDevice);
    expect(network).toBe("blue");
    expect(detail).toContain("here to 1500; otherwise raise it on all hosts and switches");
    await a.ip(`link set ${underlayDevice} mtu 1500`);
  });

  test("a second device of a network's VNI", async () => {
    await a.ip(`link add rival type vxlan id 100 local ${a.address} dstport 4790`);
    expect((await told("second-device", "rival")).detail).toContain("nearmiss agent remove rival");
    await a.ip("link del rival");
  });

  test("a device that blocks a new network, which starts once it is gone", async () => {
    await a.ip("link add nmv200 type veth peer name in-the-way");
    await it.network("red", 200);
    const interfaces = [{ network: "red", mac: mac1, ips: ["10.20.1.1"] }];
    await it.call("POST", "/v1/vms", { name: "red-1", host: "a", interfaces });
    const { network, detail } = await told("network-not-ready");
    expect(network).toBe("red");
    expect(detail).toContain("nearmiss agent remove nmv200");
    await a.ip("link del nmv200");
    await waitFor(() => a.interfaces().includes("nmb200"), { what: "the network's bridge" });
  });

  test.each([
    [
      "an announcement",
      "10.20.1.2",
      arp({ operation: "request", senderMac: mac1, senderIp: "10.20.1.2", targetIp: "10.20.1.2" }),
    ],
    [
      "a question",
      "10.20.1.3",
      arp({ operation: "request", senderMac: stranger, senderIp: "10.20.1.3", targetIp: "10.20.1.9" }),
    ],
  ])("a guest that uses another VM's address, by %s; explain names it", async (_by, ip, frame) => {
    await inject(frame);
    expect(await told("address-conflict", ip)).toMatchObject({ network: "blue" });
    const explained = a.exec(
      nearmiss("explain", "--json", "--socket", a.agentSocket, "--network", "blue", "10.20.1.1", ip),
    );
    const text = await explained.catch((error: { stdout?: string }) => error.stdout ?? "");
    const { checks } = JSON.parse(text) as Explanation;
    expect(checks).toContainEqual(
      expect.objectContaining({ name: "destination address", says: expect.stringContaining(`uses ${ip}`) }),
    );
  });

  test("a VTEP address that disappeared, when the host is reachable again", async () => {
    const [shown] = JSON.parse(await a.exec(["ip", "-j", "address", "show", "to", a.address])) as {
      addr_info: { prefixlen: number }[];
    }[];
    const address = `${a.address}/${shown?.addr_info[0]?.prefixlen}`;
    const before = a.agent.logs.length;
    await a.ip(`address del ${address} dev ${underlayDevice}`);
    await waitFor(
      () => a.agent.logs.slice(before).some(({ msg }) => String(msg).includes(`the VTEP address ${a.address}`)),
      { what: "the agent to see it" },
    );
    await a.ip(`address add ${address} dev ${underlayDevice}`);
    expect((await told("vtep-missing", a.address)).network).toBeUndefined();
  });

  test("a guest that sends and is not registered", async () => {
    // As long as it sends: a bridge remembers one frame for minutes.
    const frame = ethernet({ to: "ff:ff:ff:ff:ff:ff", from: stranger, type: 0x88b5, payload: Buffer.alloc(46) });
    const socket = await openPacketSocket(guest, "eth0");
    const sending = setInterval(() => socket.inject(frame), 500);
    try {
      expect(await told("unregistered-guest", stranger)).toMatchObject({ host: "a", network: "blue" });
    } finally {
      clearInterval(sending);
      socket.close();
    }
  });
});
