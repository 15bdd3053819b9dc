// A host that restarts while its controller is away comes up with what is in its state directory; the next session has the last word.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { run } from "../../testkit/lab/command.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import { nearmiss } from "../../testkit/lab/programs.ts";
import { waitFor, waitUntil } from "../../testkit/lab/wait.ts";
import { cluster, statusOf } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

const mac = (n: number) => `52:54:00:00:00:${n.toString(16).padStart(2, "0")}`;
const ips = (n: number) => [`10.20.1.${n}/24`, `fd00:20::${n.toString(16)}/64`];

describeKernel("a host that restarts without a controller", () => {
  const it = cluster({ hosts: 3, underlay: 4 });
  const guests: Record<string, Guest> = {};
  let stateDir: string;

  const startAgent = (host: string) => it.lab.host(host).startAgent({ extraArgs: ["--state-dir", stateDir] });
  const statusIn = async (host: string) => {
    const status = await statusOf(it.lab.host(host));
    const networkOf = (vni: number) => status.networks.find((network) => network.vni === vni);
    return { ...status, blue: networkOf(100), red: networkOf(200) };
  };
  const untilReplica = (host: string, state: string, addresses?: number) =>
    waitUntil(
      () => statusIn(host),
      ({ blue }) => blue?.replica?.state === state && (addresses === undefined || blue.replica.addresses === addresses),
      { what: `the table of blue on host ${host} to be ${state}` },
    );
  const boot = async (name: string, host: string, n: number, options: object = {}) => {
    const guest = await it.vm(name, host, "blue", 100, mac(n), ips(n), options);
    guest.askOnce();
    guests[name] = guest;
    return guest;
  };
  const guest = (name: string): Guest => {
    const found = guests[name];
    if (!found) throw new Error(`no guest ${name}`);
    return found;
  };
  /** Writes what is not on disk yet. */
  const stopAgent = (host: string) => it.lab.host(host).agent.stop("SIGTERM");
  /** What a restart of the machine leaves of nearmiss: nothing. */
  const wipe = async (host: string) => {
    const found = it.lab.host(host);
    for (const name of found.interfaces().filter((each) => /^nm[bv]\d+$/.test(each)))
      await found.ip(`link del ${name}`);
  };
  /** A hypervisor plugs its VMs in when the bridge is there. */
  const plugIn = async (host: string, ...names: string[]) => {
    await waitFor(() => it.lab.host(host).interfaces().includes("nmb100"), { what: "the bridge of blue" });
    for (const name of names) await it.lab.host(host).ip(`link set ${guest(name).port} master nmb100 up`);
  };
  const neighboursIn = async (host: string) =>
    (await it.entries(host, 100)).neighbours.map((line) => line.split(" ")[0]);
  const placeOf = async (host: string, n: number) =>
    (await it.entries(host, 100)).fdb.find((line) => line.startsWith(`${mac(n)} dst `))?.split(" ")[2];

  beforeAll(async () => {
    stateDir = join(it.lab.directory, "state");
    for (const host of ["a", "b", "c"]) {
      await it.lab.host(host).agent.stop("SIGTERM");
      startAgent(host);
    }
    await it.network("blue", 100, { knowledge: "replicate" });
    await it.network("red", 200);
    await boot("one", "a", 1, { port: "tap-one", pin: true });
    await boot("local", "a", 2, { port: "tap-local", pin: true });
    await boot("two", "b", 3);
    await boot("mover", "b", 4);
    await boot("three", "c", 5);
    await it.vm("red-1", "a", "red", 200, mac(1), ["10.20.1.1/24"]);
    for (const host of ["a", "b", "c"]) await untilReplica(host, "complete");
  });

  test("has its networks, also those on demand, and guests that never met meet; what moved since is corrected by the same store", async () => {
    await untilReplica("a", "complete", 15);
    await stopAgent("a");
    await wipe("a");
    // While the host is down: one of its own VMs and a VM that it knows elsewhere move, one comes.
    await it.call("PATCH", "/v1/vms/local", { host: "c" });
    await it.call("PATCH", "/v1/vms/mover", { host: "c" });
    await guest("mover").moveTo(it.lab.host("c"));
    await it.call("PUT", "/v1/vms/new", {
      host: "b",
      interfaces: [{ network: "blue", mac: mac(6), ips: ["10.20.1.6", "fd00:20::6"] }],
    });
    await it.lab.controller.stop("SIGTERM");
    startAgent("a");
    await plugIn("a", "one");
    await untilReplica("a", "alone");
    const has = (device: string) => it.lab.host("a").interfaces().includes(device);
    await waitFor(() => has("nmb200") && has("nmv200"), { what: "the devices of the network on demand" });
    expect(await guest("one").ping("10.20.1.3")).toMatchObject({ received: 1 });
    expect(await guest("one").ping("fd00:20::5")).toMatchObject({ received: 1 });
    const { blue } = await statusIn("a");
    expect(blue?.ports.find(({ name }) => name === "tap-one")?.pinned).toEqual([mac(1)]);
    // Its port is not here: it is not local, and nothing says where it is.
    expect(await guest("one").ping("10.20.1.2", { deadlineS: 1 })).toMatchObject({ received: 0 });
    expect(await neighboursIn("a")).not.toContain("10.20.1.2");
    // As it was stored: lost, until the controller is back.
    expect(await guest("one").ping("10.20.1.4", { deadlineS: 1 })).toMatchObject({ received: 0 });
    expect(await placeOf("a", 4)).toBe(it.lab.host("b").address);
    await it.lab.startController();
    await untilReplica("a", "complete", 18);
    await waitFor(async () => (await placeOf("a", 4)) === it.lab.host("c").address, {
      what: "the moved VM's entries to follow",
    });
    await guest("local").moveTo(it.lab.host("c"));
    await guest("one").forgetNeighbours();
    expect(await guest("one").ping("10.20.1.2")).toMatchObject({ received: 1 });
  });

  test("whose agent alone restarts leaves the kernel's entries as they are", async () => {
    await untilReplica("a", "complete");
    const before = await it.entries("a", 100);
    expect(before.neighbours.length).toBeGreaterThan(2);
    const ping = guest("one").startPing("10.20.1.3", { intervalMs: 20 });
    await waitFor(() => ping.received() > 5, { what: "the ping to run" });
    await it.lab.controller.stop("SIGTERM");
    await it.lab.host("a").agent.stop("SIGKILL");
    const agent = startAgent("a");
    await agent.waitForLog(({ msg }) => /those that were stored/.test(msg), "the stored networks");
    const { repairs } = await statusIn("a");
    expect(repairs).toEqual({});
    expect(await it.entries("a", 100)).toEqual(before);
    await it.lab.startController();
    await untilReplica("a", "complete");
    expect(await it.entries("a", 100)).toEqual(before);
    expect((await ping.stop()).lost).toEqual([]);
  });

  test("has all of a prefetched network in its kernel before a guest asks", async () => {
    await it.call("PATCH", "/v1/networks/blue", { knowledge: "prefetch" });
    const others = ["10.20.1.3", "10.20.1.4", "10.20.1.5", "fd00:20::3"];
    const hasAll = async () => {
      const neighbours = await neighboursIn("a");
      return others.every((ip) => neighbours.includes(ip));
    };
    await waitFor(hasAll, { what: "the network to be in the kernel" });
    await stopAgent("a");
    await wipe("a");
    await it.lab.controller.stop("SIGTERM");
    startAgent("a");
    await plugIn("a", "one");
    await untilReplica("a", "alone");
    await waitFor(hasAll, { what: "the stored network to be in the kernel" });
    expect(await guest("one").ping("10.20.1.3")).toMatchObject({ received: 1 });
    await it.lab.startController();
    await untilReplica("a", "complete");
    expect(await hasAll()).toBe(true);
    await it.call("PATCH", "/v1/networks/blue", { knowledge: "replicate" });
  });

  test("whose disk is full says so, goes on, and stores its networks when there is space", async () => {
    const directory = mkdtempSync(join(tmpdir(), "nearmiss-small-"));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    await run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", directory]);
    onTestFinished(async () => void (await run(["umount", "--lazy", directory])));
    const filler = join(directory, "filler");
    await stopAgent("c");
    writeFileSync(filler, Buffer.alloc(64 * 1024));
    it.lab.host("c").startAgent({ extraArgs: ["--state-dir", directory] });
    await untilReplica("c", "complete");
    const problems = async () => (await statusIn("c")).problems.filter((text) => text.includes("are not stored in"));
    await waitFor(async () => (await problems()).some((text) => text.includes("ENOSPC")), { what: "the problem" });
    expect(await guest("three").ping("10.20.1.1")).toMatchObject({ received: 1 });
    rmSync(filler);
    // It is tried again every minute, and at the end.
    const { agent } = it.lab.host("c");
    await stopAgent("c");
    expect(agent.logs.some(({ msg }) => msg === "this host's networks are stored again")).toBe(true);
    const again = it.lab.host("c").startAgent({ extraArgs: ["--state-dir", directory] });
    await again.waitForLog(({ msg }) => /those that were stored/.test(msg), "the stored networks");
    await untilReplica("c", "complete");
    await stopAgent("c");
    startAgent("c");
    await untilReplica("c", "complete");
  });

  test("follows a controller that returns from an older backup, with another epoch", async () => {
    await untilReplica("a", "complete");
    const db = join(it.lab.directory, "controller.db");
    const backup = join(it.lab.directory, "backup.db");
    await run(nearmiss("backup", backup, "--db", db));
    await it.call("PATCH", "/v1/vms/three", { host: "b" });
    await it.call("PUT", "/v1/vms/later", {
      host: "b",
      interfaces: [{ network: "blue", mac: mac(7), ips: ["10.20.1.7"] }],
    });
    await untilReplica("a", "complete", 20);
    await stopAgent("a");
    await wipe("a");
    await it.lab.controller.stop("SIGTERM");
    startAgent("a");
    await plugIn("a", "one");
    await untilReplica("a", "alone", 20);
    for (const ip of ["10.20.1.5", "10.20.1.7"]) await guest("one").ping(ip, { deadlineS: 1 });
    expect(await placeOf("a", 5)).toBe(it.lab.host("b").address);
    expect(await neighboursIn("a")).toContain("10.20.1.7");
    for (const suffix of ["", "-wal", "-shm"]) await rm(`${db}${suffix}`, { force: true });
    await run(nearmiss("restore", backup, "--db", db));
    await it.lab.startController();
    // Also the host of the VM: until it is in sync, the VM is elsewhere for it.
    for (const host of ["a", "b", "c"]) await untilReplica(host, "complete", 18);
    await waitFor(async () => (await placeOf("a", 5)) === it.lab.host("c").address, {
      what: "the VM to be where the backup has it",
    });
    await waitFor(async () => !(await neighboursIn("a")).includes("10.20.1.7"), {
      what: "the VM that the backup has not to leave the kernel",
    });
    await guest("one").forgetNeighbours();
    expect(await guest("one").ping("10.20.1.5")).toMatchObject({ received: 1 });
    // What is stored is of the new epoch: the next start without a controller has it.
    await stopAgent("a");
    await it.lab.controller.stop("SIGTERM");
    startAgent("a");
    await untilReplica("a", "alone", 18);
    await it.lab.startController();
    await untilReplica("a", "complete", 18);
  });
});
