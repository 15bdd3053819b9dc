// Where a tunnel end may be: on lo with routed fabrics, on devices over devices, on a device that is replaced, with several uplinks. The
// MTU is that of the routes to the tunnel ends in use, and a way that ends is a condition.
import { execFileSync } from "node:child_process";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { askAgent } from "../../node-agent/status/client.ts";
import type { Explanation } from "../../node-agent/status/explanation.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import type { Host } from "../../testkit/lab/host.ts";
import { underlayDevice } from "../../testkit/lab/underlay.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { cluster, statusOf } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

const deadlineMs = 2_000;

describeKernel("a tunnel end", () => {
  const it = cluster({ hosts: 2, underlay: 4 });
  let a: Host;
  let b: Host;
  let guest: Guest;

  beforeAll(async () => {
    a = it.lab.host("a");
    b = it.lab.host("b");
    await it.network("blue", 100, { mtu: 1_400 });
    guest = await it.vm("blue-1", "a", "blue", 100, "52:54:00:00:00:01", ["10.20.1.1/24", "fd00:20::1/64"]);
    await it.vm("blue-2", "b", "blue", 100, "52:54:00:00:00:02", ["10.20.1.2/24", "fd00:20::2/64"]);
    // A second cable between the two.
    execFileSync("ip", [
      ...["link", "add", "up2", "netns", a.namespace, "mtu", "1500", "type", "veth"],
      ...["peer", "name", "up2", "netns", b.namespace, "mtu", "1500"],
    ]);
    for (const [host, address] of [
      [a, "198.18.0.1/30"],
      [b, "198.18.0.2/30"],
    ] as const) {
      await host.ip(`address add ${address} dev up2`, "link set up2 up", "link set lo up");
    }
  });

  beforeEach(async () => expect(await problems()).toEqual([]));

  const problems = async (): Promise<readonly string[]> => (await statusOf(a)).problems;
  const problem = (said: RegExp) =>
    waitFor(async () => (await problems()).some((text) => said.test(text)), { what: `${said}`, deadlineMs });
  const noProblem = () => waitFor(async () => (await problems()).length === 0, { what: "no problem", deadlineMs });

  async function tunnel(): Promise<{ readonly mtu: number; readonly local: string }> {
    const text = await a.exec(["ip", "-d", "-j", "link", "show", "nmv100"]);
    const [{ mtu, linkinfo }] = JSON.parse(text) as [{ mtu: number; linkinfo: { info_data: { local: string } } }];
    return { mtu, local: linkinfo.info_data.local };
  }
  const mtuOfTunnel = (mtu: number) =>
    waitFor(async () => (await tunnel()).mtu === mtu, { what: `a tunnel with MTU ${mtu}`, deadlineMs });

  async function passes(): Promise<void> {
    await waitFor(async () => (await guest.ping("10.20.1.2")).received === 1, { what: "an answer" });
    expect((await guest.ping("fd00:20::2", { count: 2, intervalMs: 100 })).received).toBeGreaterThan(0);
  }

  /** Registers another address of host a, which both hosts use by then. */
  async function moveEnd(vtep: string): Promise<void> {
    await it.call("PATCH", "/v1/hosts/a", { vtep });
    await waitFor(async () => (await tunnel()).local === vtep, { what: `the tunnel at ${vtep}` });
    await waitFor(async () => (await it.entries("b", 100)).fdb.join().includes(`dst ${vtep} `), {
      what: `b to send to ${vtep}`,
    });
  }

  async function explained() {
    const question = { type: "explain", network: "blue", from: "10.20.1.1", to: "10.20.1.2" } as const;
    const { checks } = (await askAgent(a.agentSocket, question)).result as Explanation;
    return (name: string) => checks.filter((check) => check.name === name);
  }

  test("on a veth has the MTU of that link", async () => {
    await passes();
    expect((await tunnel()).mtu).toBe(1_500);
  });

  describe("on lo, with a route to the other host", () => {
    beforeAll(async () => {
      await a.ip("address add 203.0.113.1/32 dev lo");
      await b.ip("address add 203.0.113.2/32 dev lo", `route add 203.0.113.1 via ${a.address}`);
      await a.ip(`route add 203.0.113.2 via ${b.address}`);
      await moveEnd("203.0.113.1");
      await it.call("PATCH", "/v1/hosts/b", { vtep: "203.0.113.2" });
      await waitFor(async () => (await it.entries("a", 100)).fdb.join().includes("dst 203.0.113.2 "), {
        what: "a to send to lo",
      });
    });

    test("forwards, and has the MTU of the route, not of lo", async () => {
      await passes();
      await mtuOfTunnel(1_500);
      const [route] = (await explained())("route");
      expect(route).toMatchObject({
        state: "ok",
        says: `packets to 203.0.113.2 leave by ${underlayDevice} (MTU 1500)`,
      });
    });

    test("follows the link's MTU, down and up", async () => {
      await a.ip(`link set ${underlayDevice} mtu 1430`);
      await problem(/^network blue: MTU 1400 does not fit the underlay's 1430; .* that of eth0 here/);
      const [fit] = (await explained())("MTU");
      expect(fit).toMatchObject({ state: "wrong", says: expect.stringContaining("the underlay's 1430 (eth0)") });
      await a.ip(`link set ${underlayDevice} mtu 9000`);
      await noProblem();
      await mtuOfTunnel(9_000);
      await a.ip(`link set ${underlayDevice} mtu 1500`);
      await mtuOfTunnel(1_500);
      await passes();
    });

    test("takes the smaller MTU of two uplinks, of the route itself, and of next hops as objects", async () => {
      await a.ip(`route replace 203.0.113.2 nexthop via ${b.address} nexthop via 198.18.0.2`);
      await a.ip("link set up2 mtu 1440");
      await problem(/^network blue: MTU 1400 does not fit the underlay's 1440; .* that of up2 here/);
      await a.ip("link set up2 mtu 1500");
      await noProblem();
      await a.ip("link set up2 down");
      await passes();
      await a.ip("link set up2 up");
      await a.ip(`route replace 203.0.113.2 via ${b.address} mtu 1420`);
      await problem(/^network blue: MTU 1400 does not fit the underlay's 1420; /);
      await a.ip(`nexthop add id 7 via ${b.address} dev ${underlayDevice}`, "route replace 203.0.113.2 nhid 7");
      await noProblem();
      await passes();
      await a.ip(`route replace 203.0.113.2 via ${b.address}`, "nexthop del id 7");
    });

    test.each([
      ["a blackhole", ["route replace blackhole 203.0.113.2"], /a blackhole route or rule drops packets/],
      ["unreachable", ["route replace unreachable 203.0.113.2"], /makes it unreachable/],
      ["prohibited", ["route replace prohibit 203.0.113.2"], /prohibits packets to it/],
      ["not routed", ["route del 203.0.113.2"], /there is no route to it/],
      ["prohibited by a rule", ["rule add to 203.0.113.2 prohibit"], /prohibits packets to it/],
      ["prohibited by a rule for UDP", ["rule add ipproto udp dport 4789 prohibit"], /prohibits packets to it/],
      ["this host's own", ["address add 203.0.113.2/32 dev lo"], /that address is one of this host, too/],
    ])("says that the other host is %s", async (_, commands, said) => {
      await a.ip(...commands);
      await problem(new RegExp(`^guests behind the host with the VTEP address 203\\.0\\.113\\.2 .*${said.source}`));
      const [route] = (await explained())("route");
      expect(route).toMatchObject({ state: "wrong", says: expect.stringMatching(said) });
      for (const command of commands) {
        if (!command.startsWith("route")) await a.ip(command.replace(" add ", " del "));
      }
      await a.ip(`route replace 203.0.113.2 via ${b.address}`);
      await noProblem();
      await passes();
    });
  });

  test("moves from a link to a bridge above it", async () => {
    await moveEnd(a.address);
    await a.ip(
      `link add br0 mtu 1500 type bridge`,
      `link set ${underlayDevice} master br0`,
      "link set br0 up",
      `address del ${a.address}/24 dev ${underlayDevice}`,
      `address add ${a.address}/24 dev br0`,
      `route replace 203.0.113.2 via ${b.address}`,
    );
    await noProblem();
    await passes();
    expect((await statusOf(a)).tunnelEnd).toMatchObject({ device: "br0" });
  });

  test("is on a macvlan device", async () => {
    await a.ip(
      "link add mv0 link br0 type macvlan mode bridge",
      "address add 203.0.113.11/32 dev mv0",
      "link set mv0 up",
    );
    await b.ip(`route add 203.0.113.11 via ${a.address}`);
    await moveEnd("203.0.113.11");
    await noProblem();
    await passes();
  });

  test("is on a vxlan device of another program, whose MTU counts", async () => {
    for (const [host, other, address] of [
      [a, b, "198.19.0.1/24"],
      [b, a, "198.19.0.2/24"],
    ] as const) {
      await host.ip(
        `link add below mtu 1450 type vxlan id 9 local ${host.address} remote ${other.address} dstport 8472`,
        `address add ${address} dev below`,
        "link set below up",
      );
    }
    await a.ip("route replace 203.0.113.2 via 198.19.0.2 src 198.19.0.1");
    await moveEnd("198.19.0.1");
    await mtuOfTunnel(1_450);
    await noProblem();
    await passes();
    await a.ip("link set below mtu 1410");
    await problem(/^network blue: MTU 1400 does not fit the underlay's 1410; .* that of below here/);
    await a.ip("link set below mtu 1450");
    await noProblem();
  });

  test("on a tun device without its program says so", async () => {
    await a.ip("tuntap add tun0 mode tun", "address add 203.0.113.12/32 dev tun0", "link set tun0 up");
    await moveEnd("203.0.113.12");
    await problem(/^tun0, which has the VTEP address 203\.0\.113\.12, has no carrier: /);
    await moveEnd("203.0.113.11");
    await noProblem();
  });
});

describeKernel("a tunnel end over IPv6 that the kernel lists and does not use", () => {
  const it = cluster({ hosts: 2, underlay: 6 });
  const vtep = "2001:db8:77::1";
  let a: Host;
  let guest: Guest;

  beforeAll(async () => {
    a = it.lab.host("a");
    await it.network("blue", 100);
    guest = await it.vm("blue-1", "a", "blue", 100, "52:54:00:00:00:01", ["10.20.1.1/24"]);
    await it.vm("blue-2", "b", "blue", 100, "52:54:00:00:00:02", ["10.20.1.2/24"]);
    await it.lab.host("b").ip(`route add ${vtep} dev ${underlayDevice}`);
    await a.ip(`route add ${it.lab.host("b").address}/128 dev ${underlayDevice} src ${a.address}`);
  });

  const saysSo = (said: RegExp, deadlineMs?: number) =>
    waitFor(async () => (await statusOf(a)).problems.some((text) => said.test(text)), {
      what: `${said}`,
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
    });
  const address = (verb: "add" | "del", ...rest: string[]) =>
    a.ip([`address ${verb} ${vtep}/64 dev ${underlayDevice}`, ...rest].join(" "));

  test("because another machine has it says so, and forwards when that is over", async () => {
    const b = it.lab.host("b");
    await b.ip(`address add ${vtep}/64 dev ${underlayDevice} nodad`);
    await address("add");
    await waitFor(async () => (await a.exec(["ip", "address", "show", "dev", underlayDevice])).includes("dadfailed"), {
      what: "the kernel to find the duplicate",
    });
    await it.call("PATCH", "/v1/hosts/a", { vtep });
    await saysSo(new RegExp(`^another machine has the VTEP address ${vtep}, so the kernel does not use it on eth0: `));
    await b.ip(`address del ${vtep}/64 dev ${underlayDevice}`);
    await address("del");
    await saysSo(new RegExp(`^no interface of this host has the VTEP address ${vtep}: `), deadlineMs);
    await address("add", "nodad");
    await waitFor(async () => !(await statusOf(a)).problems.some((text) => text.includes(`address ${vtep}`)), {
      what: "the condition to end",
      deadlineMs,
    });
    await waitFor(async () => (await guest.ping("10.20.1.2")).received === 1, { what: "an answer" });
  });

  test("because it still looks for another machine says so, and no longer when it is used", async () => {
    await address("del");
    a.sysctl(`ipv6/conf/${underlayDevice}/dad_transmits`, 6);
    await address("add");
    await saysSo(new RegExp(`^the kernel does not use the VTEP address ${vtep} on eth0 yet: `), deadlineMs);
    await waitFor(async () => (await guest.ping("10.20.1.2")).received === 1, { what: "an answer" });
    expect((await statusOf(a)).problems.filter((text) => text.includes("does not use"))).toEqual([]);
  });
});
