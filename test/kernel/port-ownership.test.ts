// The port that an operator registers for an interface: no rule or pin for it cuts off another tenant, whichever device it names.
import { beforeAll, expect, test } from "vitest";
import { ethernet } from "../../testkit/lab/frames.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import type { Host } from "../../testkit/lab/host.ts";
import { openPacketSocket } from "../../testkit/lab/packets.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { cluster, statusOf } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

const mac = (last: number): string => `52:54:00:00:00:${last.toString(16).padStart(2, "0")}`;

describeKernel("the port of an interface", () => {
  const it = cluster({ hosts: 2, underlay: 4, agentArgs: ["--anti-spoof", "--adopt", "vxlan7"] });
  let a: Host;
  let red: Guest;
  let seven: Guest;

  beforeAll(async () => {
    a = it.lab.host("a");
    for (const [name, vni] of [
      ["blue", 100],
      ["red", 200],
      ["seven", 7],
    ] as const)
      await it.network(name, vni);
    await a.ip(
      "link add br-seven type bridge",
      "link set br-seven up",
      "link add uplink type veth peer name wire",
      "link set uplink master br-seven up",
      "link set wire up",
      `link add vxlan7 type vxlan id 7 local ${a.address} dstport 4789 nolearning proxy l2miss l3miss`,
      "link set vxlan7 master br-seven up",
    );
    red = await it.vm("red-1", "a", "red", 200, mac(0x0a), ["10.20.1.10/24"], { port: "tap-red" });
    await it.vm("red-2", "b", "red", 200, mac(0x0b), ["10.20.1.11/24"]);
    seven = await it.vm("seven-1", "a", "seven", 7, mac(0x71), ["10.20.1.71/24"], {
      bridge: "br-seven",
      port: "tap-seven",
    });
    await it.vm("seven-2", "b", "seven", 7, mac(0x72), ["10.20.1.72/24"]);
    await it.vm("blue-far", "b", "blue", 100, mac(2), ["10.20.1.2/24"]);
    expect((await red.ping("10.20.1.11")).received).toBe(1);
    expect((await seven.ping("10.20.1.72")).received).toBe(1);
  });

  const interfaces = (port: string) => [{ network: "blue", mac: mac(1), ips: ["10.20.1.1"], port }];
  const problems = async (): Promise<readonly string[]> => (await statusOf(a)).problems;
  const rules = (): Promise<string> => a.exec(["nft", "list", "set", "bridge", "nearmiss", "guarded"]);

  test.each([
    ["another tenant's tap", "tap-red", "is a port of nmb200, not of the network's bridge nmb100"],
    ["a guest's port of an adopted bridge", "tap-seven", "is a port of br-seven"],
    ["what else is in an adopted bridge", "uplink", "is a port of br-seven"],
  ])(
    "that is %s cuts off no guest, while the VM exists and after its deletion, and is a problem",
    async (_, port, says) => {
      const talk = [red.startPing("10.20.1.11", { intervalMs: 20 }), seven.startPing("10.20.1.72", { intervalMs: 20 })];
      await it.call("PUT", "/v1/vms/blue-1?wait=ready", { host: "a", interfaces: interfaces(port) });
      await waitFor(async () => (await problems()).some((each) => each.includes(says)), {
        what: `"${says}" as a problem`,
      });
      expect(await rules()).not.toContain(port);
      await it.call("DELETE", "/v1/vms/blue-1");
      await waitFor(async () => !(await problems()).some((each) => each.includes(says)), { what: "no problem" });
      a.agent.signal("SIGKILL");
      await a.agent.ended;
      await a
        .startAgent({ extraArgs: ["--anti-spoof", "--adopt", "vxlan7"] })
        .waitForLog(({ msg }) => msg === "in sync with the controller");
      expect(await rules()).not.toContain(port);
      for (const each of talk) {
        const { sent, received } = await each.stop();
        expect(received).toBe(sent);
      }
    },
  );

  test("is guarded before its device exists, released while the device is another network's, and guarded in its own", async () => {
    await it.call("PUT", "/v1/vms/blue-1?wait=ready", { host: "a", interfaces: interfaces("tap-late") });
    expect(await rules()).toContain("tap-late");
    const late = await it.lab
      .host("a")
      .addGuest({ name: "late", vni: 200, mac: mac(0x0c), ips: ["10.20.1.12/24"], port: "tap-late" });
    await waitFor(async () => !(await rules()).includes("tap-late"), { what: "the rules to let the port go" });
    const victim = await openPacketSocket(red, "eth0");
    const sender = await openPacketSocket(late, "eth0");
    const frame = ethernet({ to: "ff:ff:ff:ff:ff:ff", from: mac(0x0c), type: 0x88b5, payload: Buffer.alloc(46) });
    sender.inject(frame);
    await victim.waitForFrame(({ bytes }) => bytes.subarray(0, 14).equals(frame.subarray(0, 14)));
    await a.ip("link set tap-late nomaster", "link set tap-late master nmb100");
    await waitFor(async () => (await rules()).includes("tap-late"), { what: "the rules to take the port" });
    for (const each of [victim, sender]) each.close();
    await late.remove();
    await it.call("DELETE", "/v1/vms/blue-1");
  });

  test("of a deleted VM passes nothing until it leaves the bridge, across a restart of the agent", async () => {
    const guest = await it.vm("blue-2", "a", "blue", 100, mac(3), ["10.20.1.3/24"], { port: "tap-blue", pin: true });
    expect((await guest.ping("10.20.1.2")).received).toBe(1);
    const near = await it.vm("blue-4", "a", "blue", 100, mac(4), ["10.20.1.4/24"]);
    await it.call("DELETE", "/v1/vms/blue-2");
    await waitFor(async () => !(await a.exec(["nft", "list", "set", "bridge", "nearmiss", "macs"])).includes(mac(3)), {
      what: "its MAC to leave the rules",
    });
    expect(await rules()).toContain("tap-blue");
    await a.agent.stop();
    await a
      .startAgent({ extraArgs: ["--anti-spoof", "--adopt", "vxlan7"] })
      .waitForLog(({ msg }) => msg === "in sync with the controller");
    expect(await rules()).toContain("tap-blue");
    const ear = await openPacketSocket(near, "eth0");
    const gone = await openPacketSocket(guest, "eth0");
    const frame = ethernet({ to: "ff:ff:ff:ff:ff:ff", from: mac(3), type: 0x0800, payload: Buffer.alloc(46) });
    gone.inject(frame);
    gone.inject(frame);
    const dropped = async (): Promise<number> => {
      const text = await a.exec(["nft", "list", "counters", "table", "bridge", "nearmiss"]);
      return [...text.matchAll(/packets (\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);
    };
    await waitFor(async () => (await dropped()) >= 2, { what: "two dropped frames" });
    expect(ear.frames().filter(({ bytes }) => bytes.subarray(0, 14).equals(frame.subarray(0, 14)))).toEqual([]);
    for (const each of [ear, gone]) each.close();
    await guest.remove();
    await waitFor(async () => !(await rules()).includes("tap-blue"), { what: "the rules to forget the port" });
  });

  test("that names a device of nearmiss is refused, or cuts off no guest", async () => {
    const talk = red.startPing("10.20.1.11", { intervalMs: 20 });
    await waitFor(() => talk.received() > 0, { what: "the first answer" });
    const reply = await it.lab.api("PUT", "/v1/vms/blue-1?wait=ready", { host: "a", interfaces: interfaces("nmv200") });
    if (reply.status < 300) {
      expect(await rules()).not.toContain("nmv200");
      expect(await problems()).toContainEqual(expect.stringContaining("is a device of nearmiss"));
      await it.call("DELETE", "/v1/vms/blue-1");
    }
    expect((await red.ping("10.20.1.11", { count: 3, intervalMs: 50 })).received).toBe(3);
    const { sent, received } = await talk.stop();
    expect(received).toBe(sent);
  });
});
