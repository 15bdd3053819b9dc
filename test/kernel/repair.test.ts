// Foreign changes to our devices and entries on a host are repaired, and foreign devices and entries are not touched.
import { beforeAll, beforeEach, expect, test } from "vitest";
import { ethernet, readEthernet } from "../../testkit/lab/frames.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import type { Host } from "../../testkit/lab/host.ts";
import { openPacketSocket } from "../../testkit/lab/packets.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { cluster } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

const mac1 = "52:54:00:00:00:01";
const mac2 = "52:54:00:00:00:02";
const macThief = "52:54:00:00:00:0f";

describeKernel("a host whose kernel state is changed by hand", () => {
  const it = cluster({ hosts: 2, underlay: 4 });
  let guest: Guest;
  let thief: Guest;
  let a: Host;
  let healthy: { neighbours: string[]; fdb: string[] };

  beforeAll(async () => {
    await it.network("blue", 100);
    a = it.lab.host("a");
    guest = await it.vm("blue-1", "a", "blue", 100, mac1, ["10.20.1.1/24", "fd00:20::1/64"]);
    thief = await it.vm("thief", "a", "blue", 100, macThief, ["10.20.1.15/24"]);
    await it.vm("blue-2", "b", "blue", 100, mac2, ["10.20.1.2/24", "fd00:20::2/64"]);
    expect((await guest.ping("10.20.1.2")).received).toBe(1);
    expect((await guest.ping("fd00:20::2")).received).toBe(1);
    healthy = await it.entries("a", 100);
    expect(healthy.neighbours).toHaveLength(2);
    expect(healthy.fdb).toHaveLength(2);
  });

  beforeEach(() => healthyAgain());

  async function healthyAgain(): Promise<void> {
    await waitFor(async () => JSON.stringify(await it.entries("a", 100).catch(() => "")) === JSON.stringify(healthy), {
      what: "the entries to be as they were",
    });
  }

  const causes = (): unknown[] =>
    a.agent.logs.filter((line) => /^entries (?:repaired|brought in line)$/.test(line.msg)).map((line) => line.cause);

  test.each([
    ["a neighbour deleted", ["ip neigh del 10.20.1.2 dev nmv100"]],
    ["all neighbours flushed", ["ip neigh flush dev nmv100 nud permanent"]],
    ["a neighbour replaced", ["ip neigh replace 10.20.1.2 lladdr 52:54:00:00:00:66 dev nmv100 nud permanent"]],
    [
      "a neighbour made reachable, as tutorials do",
      ["ip neigh replace 10.20.1.2 lladdr 52:54:00:00:00:02 dev nmv100 nud reachable"],
    ],
    ["a tunnel entry deleted", [`bridge fdb del ${mac2} dev nmv100 self dst VTEP`]],
    ["a tunnel entry pointed elsewhere", [`bridge fdb replace ${mac2} dev nmv100 dst 192.0.2.99 self`]],
    ["a bridge entry deleted", [`bridge fdb del ${mac2} dev nmv100 master`]],
  ])("%s by hand is restored and counted", async (_, commands) => {
    const before = causes().length;
    for (const command of commands) {
      await a.exec(command.replace("VTEP", it.lab.host("b").address).split(" ") as [string, ...string[]]);
    }
    await waitFor(() => causes().length > before, { what: "the repair" });
    expect(causes().at(-1)).toBe("entry");
    await healthyAgain();
  });

  test.each([
    ["the vxlan device set down", ["link set nmv100 down"]],
    ["the bridge set down", ["link set nmb100 down"]],
    ["the vxlan device deleted", ["link del nmv100"]],
    ["the vxlan device renamed", ["link set nmv100 name other0"]],
    ["the bridge renamed", ["link set nmb100 name other1"]],
    ["the vxlan device taken out of its bridge", ["link set nmv100 nomaster"]],
    ["the vxlan device's MTU changed", ["link set nmv100 mtu 1300"]],
    ["the vxlan device's VTEP changed", ["link set nmv100 type vxlan id 100 local 192.0.2.77"]],
    ["the bridge deleted under its guests", ["link del nmb100"]],
    ["the vxlan device's learning turned on", ["link set nmv100 type vxlan id 100 learning"]],
  ])("%s: repaired, and the entries are back", async (_, commands) => {
    await a.ip(...commands);
    await waitFor(
      async () => {
        const [link] = JSON.parse(await a.exec(["ip", "-d", "-j", "link", "show", "nmv100"]).catch(() => "[]"));
        const data = link?.linkinfo?.info_data;
        return (
          link?.master === "nmb100" &&
          link.flags.includes("UP") &&
          link.mtu === 1500 &&
          link.linkinfo.info_slave_data.learning === false &&
          data.learning === false &&
          data.proxy === true &&
          data.l2miss === true &&
          data.l3miss === true &&
          data.local === a.address
        );
      },
      { what: "nmv100 as it must be" },
    );
    await healthyAgain();
    // The kernel's word was enough, and not the look that is taken once a minute. `npm run fault` has how fast.
    expect(causes()).not.toContain("timer");
    // Guests drop their own entries when their port loses its carrier: it counts that they reach their target again.
    expect((await guest.ping("10.20.1.2", { count: 2, intervalMs: 100 })).received).toBeGreaterThan(0);
    expect((await guest.ping("fd00:20::2", { count: 2, intervalMs: 100 })).received).toBeGreaterThan(0);
  });

  test("a guest's frame with a remote VM's MAC: the bridge's entry is restored within 100 ms, and reported", async () => {
    const socket = await openPacketSocket(thief, "eth0");
    const thefts = () => a.agent.logs.filter((line) => line.msg.startsWith("theft")).length;
    const before = thefts();
    const ping = guest.startPing("10.20.1.2", { intervalMs: 20 });
    await waitFor(() => ping.received() > 3, { what: "the ping to run" });
    socket.inject(ethernet({ to: mac1, from: mac2, type: 0x88b5, payload: Buffer.alloc(46) }));
    const heard = await openPacketSocket(guest, "eth0");
    await waitFor(() => thefts() > before, { what: "the report of the theft" });
    const received = ping.received();
    await waitFor(() => ping.received() > received + 5, { what: "the ping to go on" });
    const { lost } = await ping.stop();
    // 20 ms apart: 100 ms are five.
    expect(lost.length).toBeLessThanOrEqual(5);
    await healthyAgain();
    expect(
      heard.frames().every(({ bytes }) => readEthernet(bytes).from !== mac2 || readEthernet(bytes).to === mac1),
    ).toBe(true);
    for (const each of [socket, heard]) each.close();
  });

  test("foreign devices and entries are never touched", async () => {
    await a.ip(
      "link add br9 type bridge",
      "link add vx9 type vxlan id 900 dstport 14789",
      "link set vx9 master br9",
      "neigh add 10.9.9.9 lladdr 52:54:00:00:09:09 dev vx9 nud permanent",
    );
    const show = async () =>
      (await a.exec(["ip", "-d", "link", "show", "vx9"])) + (await a.exec(["ip", "neigh", "show", "dev", "vx9"]));
    const before = await show();
    await a.exec(["bridge", "fdb", "add", "52:54:00:00:09:0a", "dev", "nmv100", "dst", "192.0.2.9", "self"]);
    const repairs = causes().length;
    await a.exec(["ip", "neigh", "del", "10.20.1.2", "dev", "nmv100"]);
    await waitFor(() => causes().length > repairs, { what: "a repair beside them" });
    expect(await show()).toBe(before);
    expect(await a.exec(["bridge", "fdb", "show", "dev", "nmv100"])).toContain("52:54:00:00:09:0a dst 192.0.2.9");
    await a.ip("link del vx9", "link del br9");
  });

  test("a VTEP address that disappears is reported, and is no problem any more when it is back", async () => {
    const problems = async () => (await it.call<{ problems: string[] }>("GET", "/v1/hosts/a")).problems;
    // Its own connection to the controller is lost too, so it is read from the log.
    const warned = () =>
      a.agent.logs.some((line) => line.msg.includes("no interface of this host has the VTEP address"));
    await a.ip(`addr del ${a.address}/24 dev eth0`);
    await waitFor(warned, { what: "the warning" });
    await a.ip(`addr add ${a.address}/24 dev eth0`);
    await waitFor(async () => (await problems()).length === 0, { what: "the problem to go" });
    expect((await guest.ping("10.20.1.2", { count: 2 })).received).toBeGreaterThan(0);
  });
});
