// What the agent says of itself over its local socket, and what is wrong on a path, each provoked for real.
import { existsSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { CommandError } from "../../lab/command.ts";
import type { Guest } from "../../lab/guest.ts";
import type { Host } from "../../lab/host.ts";
import { nearmiss } from "../../lab/programs.ts";
import { waitFor } from "../../lab/wait.ts";
import { controllerReader } from "../../node-agent/identity/read.ts";
import { explain } from "../../node-agent/status/explain.ts";
import { gatherPath } from "../../node-agent/status/gather.ts";
import type { StatusReport } from "../../node-agent/status/report.ts";
import { HeldAnswers } from "../../node-agent/tables/held.ts";
import type { Answer, Vni } from "../../schema/index.ts";
import { ip, mac, rev, vni, vtep } from "../support/addresses.ts";
import { cluster } from "../support/cluster.ts";
import { agentNetwork, describeKernel, epoch, kernelHost, localVtep } from "../support/kernel.ts";

const mac1 = "52:54:00:00:00:01";
const mac2 = "52:54:00:00:00:02";
const mac3 = "52:54:00:00:00:03";

interface Ended {
  status: number | string;
  stdout: string;
  stderr: string;
}

/** One of our commands on a host, with its agent's socket. */
async function run(host: Host, ...args: readonly string[]): Promise<Ended> {
  try {
    return { status: 0, stdout: await host.exec(nearmiss(...args, "--socket", host.agentSocket)), stderr: "" };
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return { status: error.status, stdout: error.stdout, stderr: error.stderr };
  }
}

async function explained(host: Host, from: string, to: string): Promise<{ status: number | string; first: unknown }> {
  const { status, stdout } = await run(host, "explain", "--network", "blue", from, to, "--json");
  return { status, first: (JSON.parse(stdout) as { first: { name: string } | null }).first };
}

describeKernel("a running agent", () => {
  const it = cluster({ hosts: 2, underlay: 4 });
  let a: Host;
  let guest: Guest;

  beforeAll(async () => {
    await it.network("blue", 100);
    await it.network("red", 200);
    a = it.lab.host("a");
    guest = await it.vm("web-1", "a", "blue", 100, mac1, ["10.20.1.1/24", "fd00:20::1/64"]);
    await it.vm("db-1", "b", "blue", 100, mac2, ["10.20.1.2/24", "fd00:20::2/64"]);
    await it.vm("db-2", "b", "blue", 100, mac3, ["10.20.1.3/24"]);
    expect((await guest.ping("10.20.1.2")).received).toBe(1);
  });

  async function status(): Promise<StatusReport> {
    return JSON.parse((await run(a, "agent", "status", "--json")).stdout) as StatusReport;
  }

  test("its status is printed as JSON and as YAML too", async () => {
    const pid = a.agent.pid;
    expect(JSON.parse((await run(a, "agent", "status", "-o", "json")).stdout)).toMatchObject({ pid });
    expect((await run(a, "agent", "status", "-o", "yaml")).stdout).toContain(`\npid: ${pid}\n`);
  });

  test("its session, devices and entries are shown", async () => {
    const report = await status();
    expect(report).toMatchObject({
      host: "a",
      pid: a.agent.pid,
      session: { controller: `${it.lab.controllerUrl}/`, state: "connected" },
      tunnelEnd: { vtep: a.address, port: 4789, device: "eth0" },
      drops: { misses: 0, changes: 0 },
      problems: [],
    });
    expect(report.session.asOf).toBe(report.session.appliedRevision);
    const [blue, ...rest] = report.networks;
    expect(rest).toEqual([]);
    expect(blue).toMatchObject({
      name: "blue",
      vni: 100,
      bridge: { name: "nmb100", state: "up" },
      vxlan: { name: "nmv100", state: "up", mtu: 1500 },
      ports: [{ name: guest.port, state: "up" }],
    });
    const remote = { kind: "remote", mac: mac2, vtep: it.lab.host("b").address, port: 4789 };
    expect(blue?.entries).toContainEqual(expect.objectContaining({ key: "10.20.1.2", ...remote }));
    expect(blue?.entries).toContainEqual(expect.objectContaining({ key: "10.20.1.1", kind: "local", mac: mac1 }));
    for (const { revision, ageMs } of blue?.entries ?? []) {
      expect(revision).toBeGreaterThan(0);
      expect(ageMs).toBeGreaterThanOrEqual(0);
    }
  });

  test("a miss is shown with every step, in order", async () => {
    const { misses, counters } = await status();
    const miss = misses.find(({ key }) => key === "10.20.1.2");
    expect(miss).toMatchObject({ kind: "l3miss", network: "blue", outcome: "answered", mac: mac2 });
    const { askedMs = -1, answeredMs = -1, programmedMs = -1, announcedMs = -1 } = miss?.steps ?? {};
    expect(askedMs).toBeGreaterThanOrEqual(0);
    expect([askedMs, answeredMs, programmedMs, announcedMs]).toEqual(
      [askedMs, answeredMs, programmedMs, announcedMs].sort((x, y) => x - y),
    );
    expect(counters.asked).toBeGreaterThanOrEqual(1);
    expect(counters.replied).toBeGreaterThanOrEqual(1);
  });

  test("an unknown address, and a miss that memory answers, are shown as such", async () => {
    await guest.ping("10.20.1.99", { deadlineS: 1 });
    expect((await status()).misses).toContainEqual(
      expect.objectContaining({ key: "10.20.1.99", outcome: "unknown", steps: expect.anything() }),
    );
    const [blue] = (await status()).networks;
    expect(blue?.entries).toContainEqual(expect.objectContaining({ key: "10.20.1.99", kind: "unknown" }));
    // The agent also puts an entry back by itself, within 50 ms: a guest that sends more often misses it before.
    const ping = guest.startPing("10.20.1.2", { intervalMs: 5 });
    await waitFor(() => ping.received() > 0, { what: "the ping to run" });
    await a.exec(["bridge", "fdb", "del", mac2, "dev", "nmv100", "dst", it.lab.host("b").address, "self"]);
    const reasserted = await waitFor(
      async () => (await status()).misses.find(({ outcome }) => outcome === "from memory"),
      { what: "the miss that is answered from memory" },
    );
    expect(reasserted).toMatchObject({ kind: "l2miss", key: mac2, steps: { programmedMs: expect.any(Number) } });
    await ping.stop();
  });

  test("a person gets tables", async () => {
    const { status, stdout } = await run(a, "agent", "status");
    expect(status).toBe(0);
    expect(stdout).toMatch(/^agent of host a, nearmiss /);
    expect(stdout).toMatch(/^network blue, VNI 100, MTU 1450: 1 remote, /m);
    expect(stdout).toMatch(/^ +10\.20\.1\.2 +52:54:00:00:00:02 +192\.0\.2\.2 +\d+ +\d+ (ms|s|min)$/m);
    expect(stdout).toMatch(/^ +\d+ (ms|s) +blue +l3miss +10\.20\.1\.2 +\d+\.\d +\d+\.\d +\d+\.\d +\d+\.\d/m);
  });

  test("explain finds nothing on a path that works, remote, not yet asked for, and local", async () => {
    expect(await explained(a, "10.20.1.1", "10.20.1.2")).toEqual({ status: 0, first: null });
    expect(await explained(a, "10.20.1.1", "10.20.1.3")).toEqual({ status: 0, first: null });
    const neighbour = await it.vm("web-2", "a", "blue", 100, "52:54:00:00:00:04", ["10.20.1.4/24"]);
    expect((await guest.ping("10.20.1.4")).received).toBe(1);
    expect(await explained(a, "10.20.1.1", "10.20.1.4")).toEqual({ status: 0, first: null });
    await neighbour.remove();
    await it.call("DELETE", "/v1/vms/web-2");
  });

  test.each([
    ["an unregistered destination", "10.20.1.1", "10.20.1.99", "destination", /no VM with 10\.20\.1\.99/],
    ["an address outside the network", "10.20.1.1", "10.99.0.1", "destination", /in no subnet of blue/],
    ["a source of another host", "10.20.1.2", "10.20.1.1", "source", /registered on host b, not on a/],
    ["an unregistered source", "10.20.1.98", "10.20.1.2", "source", /no VM with 10\.20\.1\.98/],
  ])("explain finds %s", async (_, from, to, name, says) => {
    const { status, first } = await explained(a, from, to);
    expect(status).toBe(1);
    expect(first).toMatchObject({ name, says: expect.stringMatching(says) });
  });

  test("explain finds a network that is not registered, or has no VM here", async () => {
    const red = await run(a, "explain", "--network", "red", "10.20.1.1", "10.20.1.2");
    expect(red).toMatchObject({ status: 1, stdout: expect.stringContaining("red has no VM on host a") });
    const green = await run(a, "explain", "--network", "green", "10.20.1.1", "10.20.1.2");
    expect(green).toMatchObject({ status: 1, stdout: expect.stringContaining('no network "green" is registered') });
  });

  test("explain finds a guest's port that is down", async () => {
    await a.ip(`link set ${guest.port} down`);
    // With the carrier goes what the bridge has learned there: the registered port says which one it is.
    await it.call("PATCH", "/v1/vms/web-1", {
      interfaces: [{ network: "blue", mac: mac1, ips: ["10.20.1.1", "fd00:20::1"], port: guest.port }],
    });
    const { first } = await explained(a, "10.20.1.1", "10.20.1.2");
    expect(first).toMatchObject({ name: "source port", mend: `ip link set ${guest.port} up` });
    await a.ip(`link set ${guest.port} up`);
    expect((await explained(a, "10.20.1.1", "10.20.1.2")).first).toBeNull();
  });

  test("explain finds a VTEP address that this host does not have", async () => {
    // Registered elsewhere rather than taken away, so that this host keeps its way to the controller.
    await it.call("PUT", "/v1/hosts/a", { vtep: "192.0.2.77" });
    await waitFor(async () => (await status()).tunnelEnd?.device === null, { what: "the new VTEP to be told" });
    const { first } = await explained(a, "10.20.1.1", "10.20.1.2");
    expect(first).toMatchObject({ name: "tunnel end", says: expect.stringContaining("192.0.2.77") });
    expect((await status()).problems.join()).toContain("192.0.2.77");
    await it.call("PUT", "/v1/hosts/a", { vtep: a.address });
    await waitFor(async () => (await explained(a, "10.20.1.1", "10.20.1.2")).first === null, {
      what: "it to be mended",
    });
  });

  test("explain finds a network's MTU that does not fit", async () => {
    await it.network("blue", 100, { mtu: 1480 });
    const { first } = await explained(a, "10.20.1.1", "10.20.1.2");
    expect(first).toMatchObject({ name: "MTU", mend: expect.stringContaining("1450 or less") });
    await it.network("blue", 100);
  });

  test("a second agent on the same socket is refused, and the first goes on", async () => {
    const command = nearmiss("agent", "--controller", it.lab.controllerUrl, "--host", "a2");
    const error = await a
      .exec([...command, "--socket", a.agentSocket])
      .then(() => undefined)
      .catch((error: unknown) => error);
    expect(error).toMatchObject({ status: 1, stderr: expect.stringContaining("another agent is running") });
    expect((await status()).pid).toBe(a.agent.pid);
  });

  test("without the controller, status says why, and explain names that first", async () => {
    await it.lab.controller.stop();
    await waitFor(async () => (await status()).session.state !== "connected", { what: "the session to end" });
    expect((await status()).session).toMatchObject({ reason: expect.any(String) });
    expect((await explained(a, "10.20.1.1", "10.20.1.2")).first).toMatchObject({ name: "session" });
    const { stdout } = await run(a, "explain", "--network", "blue", "10.20.1.1", "10.20.1.3");
    expect(stdout).toMatch(/WRONG +destination +the agent knows nothing of 10\.20\.1\.3/);
    await it.lab.startController();
    await waitFor(async () => (await status()).session.state === "connected", {
      what: "the session to be back",
      deadlineMs: 30_000,
    });
  });

  test("the socket is its owner's alone, goes with the agent, and a dead one's is replaced", async () => {
    expect(statSync(a.agentSocket).mode & 0o777).toBe(0o600);
    await a.agent.stop("SIGKILL");
    expect(existsSync(a.agentSocket)).toBe(true);
    const dead = await run(a, "agent", "status");
    expect(dead).toMatchObject({ status: 5, stderr: expect.stringContaining("nearmiss agent --controller") });
    expect(await explained(a, "10.20.1.1", "10.20.1.2")).toMatchObject({ status: 1, first: { name: "agent" } });
    a.startAgent();
    await waitFor(async () => (await run(a, "agent", "status")).status === 0, { what: "the next agent to answer" });
    await a.agent.stop();
    expect(existsSync(a.agentSocket)).toBe(false);
    expect((await run(a, "agent", "status")).status).toBe(5);
  });

  test("a file that is no socket is left alone", async () => {
    const path = join(it.lab.directory, "precious");
    writeFileSync(path, "precious");
    const command = nearmiss("agent", "--controller", it.lab.controllerUrl, "--host", "a", "--socket", path);
    await expect(a.exec(command)).rejects.toMatchObject({ status: 1, stderr: expect.stringContaining("is no socket") });
    expect(statSync(path).isFile()).toBe(true);
  });
});

/** With a running agent these last for milliseconds: it puts them right. Here nobody does. */
describeKernel("a path that nobody keeps right", () => {
  const host = kernelHost();
  const held = new HeldAnswers();
  const from = ip("10.20.1.1");
  const to = ip("10.20.1.2");
  const remote = { mac: mac(mac2), host: "b", vtep: vtep("192.0.2.2"), vtepPort: 4789 };
  // The controller is away, so memory stands for the inventory.
  const refused = createServer();
  let controller: URL;
  let next = 1;

  beforeAll(async () => {
    await new Promise<void>((resolve) => refused.listen(0, "127.0.0.1", resolve));
    const address = refused.address();
    controller = new URL(`http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`);
    await new Promise((resolve) => refused.close(resolve));
  });

  /** A network of its own with a guest's port, and the entries for `to`. */
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
        networks: { list: () => [agentNetwork(on)], tunnelEnd: localVtep },
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
    ["no membership", ["ip link set nmvN nomaster"], /^tunnel port: nmvN is no port of any bridge/],
    ["a port that learns", ["bridge link set dev nmvN learning on"], /^tunnel port: nmbN learns on nmvN/],
    ["no guest attached", ["ip link set pN nomaster"], /^source port: nmbN has no guest's port/],
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
  ])("%s is found", async (_, commands, expected) => {
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

  test("an underlay that is down is found", async () => {
    const on = await prepare();
    await host.namespace.ip("link set under down");
    expect((await wrong(on))[1]).toMatch(/^tunnel end: under, which has 192\.0\.2\.200, is down/);
    await host.namespace.ip("link set under up");
    expect(await wrong(on)).toHaveLength(1);
  });
});
