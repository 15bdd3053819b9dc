// What the agent reports about itself over its local socket, and what `explain` finds with it. Faults that an agent
// would repair are in path.test.ts.
import { existsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import type { StatusReport } from "../../node-agent/status/report.ts";
import { CommandError } from "../../testkit/lab/command.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import type { Host } from "../../testkit/lab/host.ts";
import { nearmiss } from "../../testkit/lab/programs.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { cluster } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

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

  test("an unknown address, and a miss answered from memory, are shown as such", async () => {
    await guest.ping("10.20.1.99", { deadlineS: 1 });
    await a.agent.waitForLog(({ msg, key }) => msg === "miss unknown" && key === "10.20.1.99");
    expect((await status()).misses).toContainEqual(
      expect.objectContaining({ key: "10.20.1.99", outcome: "unknown", steps: expect.anything() }),
    );
    const [blue] = (await status()).networks;
    expect(blue?.entries).toContainEqual(expect.objectContaining({ key: "10.20.1.99", kind: "unknown" }));
    // The agent also puts an entry back by itself: a guest's frame is to miss it before.
    a.agent.signal("SIGSTOP");
    await a.exec(["bridge", "fdb", "del", mac2, "dev", "nmv100", "dst", it.lab.host("b").address, "self"]);
    expect((await guest.ping("10.20.1.2", { deadlineS: 0.1 })).received).toBe(0);
    a.agent.signal("SIGCONT");
    const reasserted = await waitFor(
      async () => (await status()).misses.find(({ outcome }) => outcome === "from memory"),
      { what: "the miss that is answered from memory" },
    );
    expect(reasserted).toMatchObject({ kind: "l2miss", key: mac2, steps: { programmedMs: expect.any(Number) } });
  });

  test("a terminal gets tables", async () => {
    const { status, stdout } = await run(a, "agent", "status");
    expect(status).toBe(0);
    expect(stdout).toMatch(/^agent of host a, nearmiss /);
    expect(stdout).toMatch(/^network blue, VNI 100, MTU 1450: 1 remote, /m);
    expect(stdout).toMatch(/^ +10\.20\.1\.2 +52:54:00:00:00:02 +192\.0\.2\.2 +\d+ +\d+ (ms|s|min)$/m);
    expect(stdout).toMatch(/^ +\d+ (ms|s) +blue +l3miss +10\.20\.1\.2 +\d+\.\d +\d+\.\d +\d+\.\d +\d+\.\d/m);
  });

  test("explain finds no fault on a working path, remote, not yet asked for, and local", async () => {
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
    // Without the carrier, the bridge's learned addresses are gone too: the port is known from its registration.
    const ready = await it.call("PATCH", "/v1/vms/web-1?wait=ready", {
      interfaces: [{ network: "blue", mac: mac1, ips: ["10.20.1.1", "fd00:20::1"], port: guest.port }],
    });
    expect(ready).toMatchObject({ ready: true });
    const { first } = await explained(a, "10.20.1.1", "10.20.1.2");
    expect(first).toMatchObject({ name: "source port", fix: expect.stringContaining("see whether the guest runs") });
    await a.ip(`link set ${guest.port} up`);
    expect((await explained(a, "10.20.1.1", "10.20.1.2")).first).toBeNull();
  });

  test("explain finds a VTEP address that this host lacks", async () => {
    // Registered elsewhere rather than taken away, so that this host keeps its way to the controller.
    await it.call("PUT", "/v1/hosts/a", { vtep: "192.0.2.77" });
    await waitFor(async () => (await status()).tunnelEnd?.device === null, { what: "the new VTEP to reach the agent" });
    const { first } = await explained(a, "10.20.1.1", "10.20.1.2");
    expect(first).toMatchObject({ name: "tunnel end", says: expect.stringContaining("192.0.2.77") });
    await waitFor(async () => (await status()).problems.join().includes("192.0.2.77"), { what: "the problem" });
    await it.call("PUT", "/v1/hosts/a", { vtep: a.address });
    await waitFor(async () => (await explained(a, "10.20.1.1", "10.20.1.2")).first === null, {
      what: "the problem to be resolved",
    });
  });

  test("explain finds a network's MTU that does not fit", async () => {
    const told = (mtu: number) =>
      waitFor(async () => (await status()).networks[0]?.mtu === mtu, { what: `MTU ${mtu} to reach the agent` });
    const before = (await status()).networks[0]?.mtu ?? 0;
    await it.network("blue", 100, { mtu: 1480 });
    await told(1480);
    const { first } = await explained(a, "10.20.1.1", "10.20.1.2");
    expect(first).toMatchObject({ name: "MTU", fix: expect.stringContaining("1450 or less") });
    await it.network("blue", 100);
    await told(before);
  });

  test("a second agent is refused, and the first continues", async () => {
    const command = nearmiss("agent", "--controller", it.lab.controllerUrl, "--host", "a2");
    const error = await a
      .exec([...command, "--socket", a.agentSocket])
      .then(() => undefined)
      .catch((error: unknown) => error);
    expect(error).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("an agent runs in this network namespace already"),
    });
    expect((await status()).pid).toBe(a.agent.pid);
  });

  test("without the controller, status says why, and explain reports that first", async () => {
    await it.lab.controller.stop();
    await waitFor(async () => (await status()).session.state !== "connected", { what: "the session to end" });
    expect((await status()).session).toMatchObject({ reason: expect.any(String) });
    expect((await explained(a, "10.20.1.1", "10.20.1.2")).first).toMatchObject({ name: "session" });
    const { stdout } = await run(a, "explain", "--network", "blue", "10.20.1.1", "10.20.1.3");
    expect(stdout).toMatch(/WRONG +destination +the agent has no answer for 10\.20\.1\.3/);
    await it.lab.startController();
    await waitFor(async () => (await status()).session.state === "connected", {
      what: "the session to be back",
    });
  });

  test("the socket belongs to its owner alone, is removed with the agent, and a dead agent's is replaced", async () => {
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

  test("a file that is not a socket is left alone", async () => {
    const path = join(it.lab.directory, "precious");
    writeFileSync(path, "precious");
    const command = nearmiss("agent", "--controller", it.lab.controllerUrl, "--host", "a", "--socket", path);
    await expect(a.exec(command)).rejects.toMatchObject({
      status: 1,
      stderr: expect.stringContaining("is not a socket"),
    });
    expect(statSync(path).isFile()).toBe(true);
  });
});
