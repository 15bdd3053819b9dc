// Guests whose host's port is registered: their addresses cannot be taken, they cannot take others', and they see no
// frames of others.
import { beforeAll, expect, test } from "vitest";
import { ethernet, readEthernet } from "../../testkit/lab/frames.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import type { Host } from "../../testkit/lab/host.ts";
import { openPacketSocket } from "../../testkit/lab/packets.ts";
import { waitFor, waitUntil } from "../../testkit/lab/wait.ts";
import { cluster } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

const mac = (last: number): string => `52:54:00:00:00:${last.toString(16).padStart(2, "0")}`;
const unused = 0x88b5;
const network = "blue";
const vni = 100;

interface Port {
  learning: boolean;
  flood: boolean;
  alias: string | undefined;
  /** The addresses that we have entered there. */
  pinned: string[];
}

describeKernel("a guest whose port is registered", () => {
  const it = cluster({ hosts: 2, underlay: 4 });
  let a: Host;
  let one: Guest;
  let two: Guest;
  let thief: Guest;
  let loose: Guest;

  async function portOf(device: string, host = a): Promise<Port> {
    const [link] = JSON.parse(await host.exec(["ip", "-d", "-j", "link", "show", device]));
    const { learning, flood } = link.linkinfo.info_slave_data ?? {};
    const fdb = (await host.exec(["bridge", "fdb", "show", "dev", device])).split("\n");
    const pinned = fdb.filter((line) => line.includes("sticky") && line.includes("extern_learn"));
    return { learning, flood, alias: link.ifalias, pinned: pinned.map((line) => line.split(" ")[0] ?? "").sort() };
  }

  /** The state of a registered port. */
  const pinnedWith = (...macs: string[]): Port => ({
    learning: false,
    flood: false,
    alias: "nearmiss-port learning on flood on",
    pinned: macs,
  });
  const untouched: Port = { learning: true, flood: true, alias: undefined, pinned: [] };

  const becomes = (device: string, port: Port, host = a): Promise<Port> =>
    waitUntil(
      () => portOf(device, host),
      (now) => JSON.stringify(now) === JSON.stringify(port),
      { what: `port ${device} to become ${JSON.stringify(port)}` },
    );

  const pin = (
    name: string,
    last: number,
    port: string | undefined,
    host = "a",
    wait = "?wait=ready",
  ): Promise<unknown> =>
    it.call("PUT", `/v1/vms/${name}${wait}`, {
      host,
      interfaces: [{ network, mac: mac(last), ips: [`10.20.1.${last}`], ...(port === undefined ? {} : { port }) }],
    });

  const behind = async (address: string): Promise<string> => {
    const fdb = (await a.exec(["bridge", "fdb", "show", "br", "nmb100"])).split("\n");
    return fdb.find((line) => line.startsWith(address) && line.includes("master"))?.split(" ")[2] ?? "nowhere";
  };

  beforeAll(async () => {
    a = it.lab.host("a");
    await it.network(network, vni);
    const ips = (last: number): string[] => [`10.20.1.${last}/24`, `fd00:20::${last}/64`];
    one = await it.vm("one", "a", network, vni, mac(1), ips(1), { port: "tap1", pin: true });
    two = await it.vm("two", "a", network, vni, mac(2), ips(2), { port: "tap2", pin: true });
    thief = await it.vm("thief", "a", network, vni, mac(3), ips(3), { port: "tap3", pin: true });
    loose = await it.vm("loose", "a", network, vni, mac(4), ips(4), { port: "tap4" });
    await it.vm("far", "b", network, vni, mac(9), ips(9));
    for (const [port, address] of [
      ["tap1", mac(1)],
      ["tap2", mac(2)],
      ["tap3", mac(3)],
    ] as const) {
      await becomes(port, pinnedWith(address));
    }
    expect(await portOf("tap4")).toMatchObject({ learning: true, flood: true, pinned: [] });
  });

  test("resolves the other guests of its host and is resolved by them, by ARP and by neighbour discovery, pinned or not", async () => {
    for (const guest of [one, two, loose]) await guest.forgetNeighbours();
    for (const [from, to] of [
      [one, two],
      [two, one],
      [loose, two],
      [one, loose],
    ] as const) {
      for (const ip of to.ips) expect((await from.ping(ip)).received, `${from.name} to ${ip}`).toBe(1);
    }
  });

  test("reaches remote guests and is reached by them", async () => {
    for (const ip of ["10.20.1.9", "fd00:20::9"]) expect((await one.ping(ip)).received).toBe(1);
  });

  test("shares it with its nested guests, which follow it to another port", async () => {
    const interfaces = [{ network, mac: mac(5), ips: ["10.20.1.5"], parent: "one/eth0" }];
    await it.call("PUT", "/v1/vms/nested?wait=ready", { host: "a", interfaces });
    await becomes("tap1", pinnedWith(mac(1), mac(5)));
    await pin("loose", 4, undefined);
    await pin("one", 1, "tap4");
    await becomes("tap4", pinnedWith(mac(1), mac(5)));
    await becomes("tap1", untouched);
    await pin("one", 1, "tap1");
    await becomes("tap1", pinnedWith(mac(1), mac(5)));
    await it.call("DELETE", "/v1/vms/nested");
    await becomes("tap1", pinnedWith(mac(1)));
  });

  test("does not see even the frames for which the bridge knows no port, which a guest without a port does see", async () => {
    const stranger = mac(0x77);
    const [sender, pinned, control] = [
      await openPacketSocket(one, "eth0"),
      await openPacketSocket(thief, "eth0"),
      await openPacketSocket(loose, "eth0"),
    ];
    const isStray = ({ bytes }: { bytes: Buffer }): boolean => readEthernet(bytes).to === stranger;
    for (let i = 0; i < 5; i++) {
      sender.inject(ethernet({ to: stranger, from: mac(1), type: unused, payload: Buffer.alloc(46, i) }));
    }
    // Broadcast after them: a guest that has received it would have received them too.
    sender.inject(ethernet({ to: "ff:ff:ff:ff:ff:ff", from: mac(1), type: unused, payload: Buffer.alloc(46) }));
    const isLast = ({ bytes }: { bytes: Buffer }): boolean =>
      readEthernet(bytes).type === unused && !isStray({ bytes });
    await Promise.all([pinned, control].map((socket) => socket.waitForFrame(isLast)));
    expect(control.frames().filter(isStray)).toHaveLength(5);
    expect(pinned.frames().filter(isStray)).toHaveLength(0);
    for (const socket of [sender, pinned, control]) socket.close();
  });

  test("cannot steal a remote guest's traffic: the entry never moves, no packet is lost, nothing has to be repaired", async () => {
    expect((await one.ping("10.20.1.9")).received).toBe(1);
    const socket = await openPacketSocket(thief, "eth0");
    const ping = one.startPing("10.20.1.9", { intervalMs: 20 });
    await waitFor(() => ping.received() > 3, { what: "the ping to run" });
    for (let i = 0; i < 20; i++) {
      const received = ping.received();
      socket.inject(ethernet({ to: mac(1), from: mac(9), type: unused, payload: Buffer.alloc(46) }));
      expect(await behind(mac(9))).toBe("nmv100");
      await waitFor(() => ping.received() > received, { what: "the ping to go on" });
    }
    expect((await ping.stop()).lost).toEqual([]);
    expect(a.agent.logs.filter((line) => line.msg.startsWith("theft"))).toEqual([]);
    expect(socket.frames().filter(({ bytes }) => readEthernet(bytes).to === mac(9))).toEqual([]);
    socket.close();
  });

  test("cannot be impersonated by a guest of its host, not even by one without a port", async () => {
    const ping = two.startPing("10.20.1.1", { intervalMs: 20 });
    await waitFor(() => ping.received() > 3, { what: "the ping to run" });
    for (const guest of [thief, loose]) {
      const socket = await openPacketSocket(guest, "eth0");
      for (let i = 0; i < 10; i++) {
        const received = ping.received();
        socket.inject(ethernet({ to: mac(2), from: mac(1), type: unused, payload: Buffer.alloc(46) }));
        expect(await behind(mac(1))).toBe("tap1");
        await waitFor(() => ping.received() > received, { what: "the ping to go on" });
      }
      expect(socket.frames().filter(({ bytes, outgoing }) => !outgoing && readEthernet(bytes).to === mac(1))).toEqual(
        [],
      );
      socket.close();
    }
    expect((await ping.stop()).lost).toEqual([]);
  });

  test.each([
    ["learning turned on", ["bridge", "link", "set", "dev", "tap1", "learning", "on"]],
    ["flood turned on", ["bridge", "link", "set", "dev", "tap1", "flood", "on"]],
    ["its address taken from its port", ["bridge", "fdb", "del", mac(1), "dev", "tap1", "master"]],
    ["its address given to another port", ["bridge", "fdb", "replace", mac(1), "dev", "tap4", "master", "static"]],
    ["its port taken out of the bridge and put back", ["ip", "link", "set", "tap1", "nomaster"]],
  ])("%s by hand: repaired", async (_, command) => {
    await a.exec(command as [string, ...string[]]);
    if (command.includes("nomaster")) await a.ip("link set tap1 master nmb100");
    await becomes("tap1", pinnedWith(mac(1)));
    expect((await two.ping("10.20.1.1", { count: 2, intervalMs: 100 })).received).toBeGreaterThan(0);
  });

  test("may change its port, name it before it exists, have it renamed, and lose it; each is followed", async () => {
    await pin("two", 2, "tap9");
    await becomes("tap2", untouched);
    await a.ip("link set tap2 down", "link set tap2 name tap9", "link set tap9 up");
    await becomes("tap9", pinnedWith(mac(2)));
    await a.ip("link set tap9 down", "link set tap9 name tap2", "link set tap2 up");
    await becomes("tap2", untouched);
    await pin("two", 2, "tap2");
    await becomes("tap2", pinnedWith(mac(2)));
    await a.ip("link set tap2 nomaster");
    await waitFor(async () => (await portOf("tap2")).alias === undefined, { what: "our word on the port to go" });
    await a.ip("link set tap2 master nmb100");
    await becomes("tap2", pinnedWith(mac(2)));
  });

  test("keeps its pin while the agent is stopped, and gets its port back unchanged, also from an agent that was killed", async () => {
    await a.exec(["bridge", "link", "set", "dev", "tap4", "learning", "off"]);
    await pin("loose", 4, "tap4");
    await becomes("tap4", { ...pinnedWith(mac(4)), alias: "nearmiss-port learning off flood on" });
    await a.agent.stop("SIGKILL");
    expect(await portOf("tap4")).toMatchObject({ pinned: [mac(4)] });
    const agent = a.startAgent();
    await agent.waitForLog((line) => line.msg === "in sync with the controller");
    expect(agent.logs.filter((line) => line.msg === "ports repaired")).toEqual([]);
    await pin("loose", 4, undefined);
    await becomes("tap4", { ...untouched, learning: false });

    await pin("loose", 4, "tap4");
    await becomes("tap4", { ...pinnedWith(mac(4)), alias: "nearmiss-port learning off flood on" });
    await a.agent.stop("SIGKILL");
    await pin("loose", 4, undefined, "a", "");
    a.startAgent();
    await becomes("tap4", { ...untouched, learning: false });
  });

  test("with a foreign alias keeps that alias", async () => {
    await a.ip('link set tap4 alias "theirs"');
    await a.exec(["bridge", "link", "set", "dev", "tap4", "learning", "on"]);
    await pin("loose", 4, "tap4");
    await becomes("tap4", { ...pinnedWith(mac(4)), alias: "theirs" });
    await pin("loose", 4, undefined);
    await becomes("tap4", { ...untouched, alias: "theirs" });
  });

  test("moves to another host and back: pinned where it runs, its return path through the tunnel", async () => {
    const b = it.lab.host("b");
    await two.moveTo(b, { during: () => pin("two", 2, "tap2", "b") });
    await becomes("tap2", pinnedWith(mac(2)), b);
    expect((await one.ping("10.20.1.2", { count: 3 })).received).toBeGreaterThan(0);
    expect(await behind(mac(2))).toBe("nmv100");
    await two.moveTo(a, { during: () => pin("two", 2, "tap2") });
    await becomes("tap2", pinnedWith(mac(2)));
    expect((await one.ping("10.20.1.2", { count: 3 })).received).toBeGreaterThan(0);
    expect(await behind(mac(2))).toBe("tap2");
  });

  test("is deleted: its port is restored, though it stays on a bridge that the network leaves behind", async () => {
    for (const name of ["one", "two", "thief", "loose"]) await it.call("DELETE", `/v1/vms/${name}`);
    for (const port of ["tap1", "tap2", "tap3"]) await becomes(port, untouched);
    expect(a.interfaces()).toContain("nmb100");
    await waitFor(() => !a.interfaces().includes("nmv100"), { what: "the tunnel to leave" });
    for (const guest of [one, two, thief, loose]) await guest.remove();
    await waitFor(() => !a.interfaces().includes("nmb100"), { what: "the bridge to leave" });
  });
});
