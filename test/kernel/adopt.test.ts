// Third-party devices: adopted if the agent may, refused with the fix if they are unsuitable, and left alone.
import { beforeAll, expect, test } from "vitest";
import type { Host } from "../../testkit/lab/host.ts";
import { nearmiss } from "../../testkit/lab/programs.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { blockOf } from "../docs/blocks.ts";
import { cluster } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

const mac = (last: number): string => `52:54:00:00:00:${last.toString(16).padStart(2, "0")}`;
const good = "nolearning proxy l2miss l3miss";

/** `--adopt`, as docs/operators.md has it: the devices differ. */
const [, , ...flags] = blockOf("docs/operators.md", "nearmiss agent --adopt").trim().split(" ");
const adopting = flags.slice(0, -1);

describeKernel("a vxlan device that is there already", () => {
  const it = cluster({ hosts: 2, underlay: 4, agentArgs: [...adopting, "vxlan7,vxlan8,vxlan9"] });
  let a: Host;

  beforeAll(() => {
    a = it.lab.host("a");
  });

  const problemsOf = async (host: Host): Promise<string[]> =>
    (await it.call<{ problems: string[] }>("GET", `/v1/hosts/${host.name}`)).problems;

  /** A device as its owner sees it, without counters and timers. */
  async function identity(device: string): Promise<object> {
    const [link] = JSON.parse(await a.exec(["ip", "-d", "-j", "link", "show", device]));
    return { ifindex: link.ifindex, address: link.address, alias: link.ifalias, master: link.master };
  }

  const register = (name: string, host: string, network: string, last: number, ip: string): Promise<unknown> =>
    it.call("PUT", `/v1/vms/${name}`, { host, interfaces: [{ network, mac: mac(last), ips: [ip] }] });

  /** Runs the command of a problem. */
  async function obey(problem: string, begin: string): Promise<void> {
    const line = problem.slice(problem.indexOf(begin)).split("; or ")[0] ?? "";
    for (const command of line.split("; ")) await a.exec(command.split(" ") as [string, ...string[]]);
  }

  test("serves its network with its bridge, is kept when the network leaves, and so are entries of others", async () => {
    await it.network("seven", 7);
    await a.ip(
      "link add br-seven type bridge",
      "link set br-seven up",
      `link add vxlan7 type vxlan id 7 local ${a.address} dstport 4789 ${good}`,
      'link set vxlan7 alias "mine"',
      "link set vxlan7 master br-seven up",
      "neigh add 10.20.1.99 lladdr 52:54:00:00:00:99 dev vxlan7 nud permanent",
    );
    await a.exec(["bridge", "fdb", "add", mac(0x99), "dev", "vxlan7", "dst", "192.0.2.99", "self"]);
    const before = await identity("vxlan7");
    const one = await it.vm("seven-1", "a", "seven", 7, mac(0x71), ["10.20.1.1/24", "fd00:20::1/64"], {
      bridge: "br-seven",
    });
    await it.vm("seven-2", "b", "seven", 7, mac(0x72), ["10.20.1.2/24", "fd00:20::2/64"]);
    expect((await one.ping("10.20.1.2")).received).toBe(1);
    expect((await one.ping("fd00:20::2")).received).toBe(1);
    expect(a.interfaces()).not.toContain("nmv7");
    expect(a.interfaces()).not.toContain("nmb7");
    expect(await a.exec(["ip", "neigh", "show", "dev", "vxlan7"])).toContain(`10.20.1.2 lladdr ${mac(0x72)}`);

    await it.call("DELETE", "/v1/vms/seven-1");
    await waitFor(async () => !(await a.exec(["ip", "neigh", "show", "dev", "vxlan7"])).includes("proto 78"), {
      what: "our neighbours to leave",
    });
    expect(await identity("vxlan7")).toEqual(before);
    expect(a.interfaces()).toContain("br-seven");
    expect(await a.exec(["ip", "neigh", "show", "dev", "vxlan7"])).toContain("10.20.1.99");
    const fdb = await a.exec(["bridge", "fdb", "show", "dev", "vxlan7"]);
    expect(fdb).toContain(`${mac(0x99)} dst 192.0.2.99`);
    expect(fdb).not.toContain(mac(0x72));
  });

  test("without a bridge gets the agent's, and is detached from it again", async () => {
    await it.network("eight", 8);
    await a.ip(`link add vxlan8 type vxlan id 8 dstport 4789 ${good}`);
    const one = await it.vm("eight-1", "a", "eight", 8, mac(0x81), ["10.20.1.1/24"]);
    await it.vm("eight-2", "b", "eight", 8, mac(0x82), ["10.20.1.2/24"]);
    expect((await one.ping("10.20.1.2")).received).toBe(1);
    expect(await identity("vxlan8")).toMatchObject({ master: "nmb8", alias: undefined });
    await one.remove();
    await it.call("DELETE", "/v1/vms/eight-1");
    await waitFor(() => !a.interfaces().includes("nmb8"), { what: "the agent's bridge to leave" });
    expect((await identity("vxlan8")) as { master?: string }).toMatchObject({ master: undefined });
  });

  test("that is unsuitable is refused with the command that fixes it, which works; and is waited for when it is gone", async () => {
    await it.network("nine", 9);
    await a.ip(
      "link add br-nine type bridge",
      "link set br-nine up",
      `link add vxlan9 type vxlan id 9 local ${a.address} dstport 4789 nolearning l2miss`,
      "link set vxlan9 master br-nine up",
    );
    await register("nine-1", "a", "nine", 0x91, "10.20.1.1");
    const refusal = await waitFor(async () => (await problemsOf(a)).find((text) => text.includes("vxlan9")), {
      what: "the refusal",
    });
    expect(refusal).toContain("it is without proxy and l3miss");
    expect(a.interfaces()).not.toContain("nmv9");
    await a.exec(nearmiss("agent", "remove", "vxlan9", "--yes"));
    await obey(refusal, "ip link add vxlan9");
    await it.lab.host("a").agent.waitForLog((line) => line.msg === "network ready" && line.vxlan === "vxlan9");
    const one = await a.addGuest({ name: "nine-1", vni: 9, mac: mac(0x91), ips: ["10.20.1.1/24"], bridge: "br-nine" });
    await it.vm("nine-2", "b", "nine", 9, mac(0x92), ["10.20.1.2/24"]);
    expect((await one.ping("10.20.1.2")).received).toBe(1);

    await a.ip("link del vxlan9");
    const gone = await waitFor(async () => (await problemsOf(a)).find((text) => text.includes("is gone")), {
      what: "the report that it is gone",
    });
    expect(a.interfaces()).not.toContain("nmv9");
    await obey(gone, "ip link add vxlan9");
    const ping = await one.ping("10.20.1.2", { count: 10, intervalMs: 200 });
    expect(ping.received).toBeGreaterThan(0);
    await waitFor(async () => (await problemsOf(a)).length === 0, { what: "no problem" });
  });

  test("and whose entries were left by a killed agent is taken over with them", async () => {
    await it.network("ten", 10);
    await a.ip(
      "link add br-ten type bridge",
      "link set br-ten up",
      `link add vxlan10 type vxlan id 10 local ${a.address} dstport 4789 ${good}`,
      "link set vxlan10 master br-ten up",
    );
    await a.agent.stop();
    a.startAgent({ extraArgs: ["--adopt"] });
    const one = await it.vm("ten-1", "a", "ten", 10, mac(0xa1), ["10.20.1.1/24"], { bridge: "br-ten" });
    await it.vm("ten-2", "b", "ten", 10, mac(0xa2), ["10.20.1.2/24"]);
    expect((await one.ping("10.20.1.2")).received).toBe(1);
    const ping = one.startPing("10.20.1.2", { intervalMs: 20 });
    await waitFor(() => ping.received() > 3, { what: "the ping to run" });
    await a.agent.stop("SIGKILL");
    const agent = a.startAgent({ extraArgs: ["--adopt"] });
    await agent.waitForLog((line) => line.msg === "took over earlier entries");
    await agent.waitForLog((line) => line.msg === "in sync with the controller");
    const received = ping.received();
    await waitFor(() => ping.received() > received + 5, { what: "the ping to go on" });
    expect((await ping.stop()).lost).toEqual([]);
    expect(agent.logs.filter((line) => line.msg === "entries repaired")).toEqual([]);
  });
});

describeKernel("a third-party vxlan device, without --adopt", () => {
  const it = cluster({ hosts: 1, underlay: 4 });
  let a: Host;

  const problems = async (): Promise<string[]> =>
    (await it.call<{ problems: string[] }>("GET", "/v1/hosts/a")).problems;
  const seen = (what: string, deadlineMs = 10_000): Promise<string> =>
    waitFor(async () => (await problems()).find((text) => text.includes(what)), { what, deadlineMs });
  const none = (): Promise<unknown> => waitFor(async () => (await problems()).length === 0, { what: "no problem" });

  beforeAll(() => {
    a = it.lab.host("a");
  });

  test("that has the network's VNI at the start is reported with the two remedies, and left alone", async () => {
    await a.ip("link add vx1 type vxlan id 301 dstport 4789");
    await it.network("red", 301);
    await it.call("PUT", "/v1/vms/red-1", {
      host: "a",
      interfaces: [{ network: "red", mac: mac(1), ips: ["10.20.1.1"] }],
    });
    expect(await seen("vx1")).toMatch(/--adopt vx1.*nearmiss agent remove vx1/);
    expect(a.interfaces()).not.toContain("nmv301");
    await a.ip("link del vx1");
    await waitFor(() => a.interfaces().includes("nmv301"), { what: "our device" });
    await none();
  });

  test("that appears later, beside ours, is reported with the command that fixes it, and forgotten when it is gone", async () => {
    await it.network("green", 302);
    await it.vm("green-1", "a", "green", 302, mac(2), ["10.20.1.1/24"]);
    await a.ip("link add vx2 type vxlan id 302 dstport 14789");
    expect(await seen("vx2")).toContain("nearmiss agent remove vx2");
    await a.ip("link del vx2");
    await none();
  });

  test("that takes our UDP port while our device is down is named with the command that fixes it, and then resolved", async () => {
    a.agent.signal("SIGSTOP");
    await a.ip("link set nmv302 down", "link set nmv301 down");
    await a.ip("link add vx3 type vxlan external dstport 4789", "link set vx3 up");
    a.agent.signal("SIGCONT");
    expect(await seen("vx3")).toContain("nearmiss agent remove vx3");
    await a.ip("link del vx3");
    await none();
  });
});
