// Controllers and agents that stop and return: existing traffic continues, and changes of that time are applied.
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import type { Guest } from "../../testkit/lab/guest.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { cluster, statusOf } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

const mac1 = "52:54:00:00:00:01";
const mac2 = "52:54:00:00:00:02";

describeKernel("return after absence", () => {
  const it = cluster({ hosts: 2, underlay: 4 });
  let blue1: Guest;

  beforeAll(async () => {
    await it.network("blue", 100);
    blue1 = await it.vm("blue-1", "a", "blue", 100, mac1, ["10.20.1.1/24"]);
    await it.vm("blue-2", "b", "blue", 100, mac2, ["10.20.1.2/24"]);
    expect((await blue1.ping("10.20.1.2")).received).toBe(1);
  });

  const inStep = (host: string): number =>
    it.lab.host(host).agent.logs.filter((line) => line.msg === "in sync with the controller").length;

  test("no packet is lost while the controller is killed, stopped and restarted", async () => {
    const ping = blue1.startPing("10.20.1.2", { intervalMs: 20 });
    await waitFor(() => ping.received() > 5, { what: "the ping to run" });
    const before = inStep("a");
    await it.lab.controller.stop("SIGKILL");
    const received = ping.received();
    await waitFor(() => ping.received() > received + 10, { what: "the ping to go on without a controller" });
    await it.lab.startController();
    await waitFor(() => inStep("a") > before, { what: "host a to be in step again" });
    expect((await ping.stop()).lost).toEqual([]);
  });

  test("a guest that asks while the controller is unreachable is answered the moment it returns", async () => {
    const late = await it.vm("late", "b", "blue", 100, "52:54:00:00:00:0a", ["10.20.1.10/24"]);
    await it.lab.controller.stop("SIGKILL");
    // Repeatedly: an agent remembers waiting guests for three seconds.
    const ping = blue1.startPing("10.20.1.10", { intervalMs: 500 });
    await waitFor(async () => /10\.20\.1\.10 .*INCOMPLETE/.test(await blue1.exec(["ip", "neigh"])), {
      what: "the guest to wait for its answer",
    });
    const replied = async () => (await statusOf(it.lab.host("a"))).counters.replied ?? 0;
    const before = await replied();
    await it.lab.startController();
    // By the agent, at once: the guest's next question, a second later, would be answered by the kernel.
    await waitFor(async () => (await replied()) > before, { what: "the announcement to the guest" });
    await waitFor(() => ping.received() > 0, { what: "the ping to arrive" });
    await ping.stop();
    await late.remove();
    await it.call("DELETE", "/v1/vms/late");
  });

  test("an agent that is killed loses no packet, and takes over the existing entries", async () => {
    const a = it.lab.host("a");
    const entries = await it.entries("a", 100);
    const ping = blue1.startPing("10.20.1.2", { intervalMs: 20 });
    await waitFor(() => ping.received() > 5, { what: "the ping to run" });
    await a.agent.stop("SIGKILL");
    a.startAgent();
    await waitFor(() => inStep("a") > 0, { what: "host a to be in step again" });
    expect((await ping.stop()).lost).toEqual([]);
    expect(await it.entries("a", 100)).toEqual(entries);
    expect(a.agent.logs).toContainEqual(expect.objectContaining({ msg: "took over earlier entries" }));
  });

  test("a controller with an empty database removes nothing from hosts, and says why", async () => {
    const entries = await it.entries("a", 100);
    const ping = blue1.startPing("10.20.1.2", { intervalMs: 50 });
    await waitFor(() => ping.received() > 3, { what: "the ping to run" });
    await it.lab.controller.stop("SIGTERM");
    const db = join(it.lab.directory, "empty.db");
    const before = inStep("a");
    await it.lab.startController({ db });
    await waitFor(() => inStep("a") > before, { what: "host a to have an empty snapshot" });
    expect(await it.entries("a", 100)).toEqual(entries);
    const problems = async () => (await it.call<{ problems: string[] }>("GET", "/v1/hosts/a")).problems;
    await waitFor(async () => (await problems()).some((line) => line.includes("another store")), {
      what: "the problem to be reported",
    });
    // A restarted agent knows the store from its devices.
    await it.lab.host("a").agent.stop("SIGTERM");
    it.lab.host("a").startAgent();
    await waitFor(() => inStep("a") > 0, { what: "the restarted agent to have its snapshot" });
    expect(await it.entries("a", 100)).toEqual(entries);
    expect((await ping.stop()).lost).toEqual([]);
    // The right database again: all is as before.
    await it.lab.controller.stop("SIGTERM");
    const again = inStep("a");
    await it.lab.startController();
    await waitFor(() => inStep("a") > again, { what: "host a to be in step again" });
    await waitFor(async () => (await problems()).length === 0, { what: "the problem to go" });
    expect(await it.entries("a", 100)).toEqual(entries);
    await rm(db, { force: true });
  });

  test("a bridge that a guest's port kept after the network's last VM is deleted when the port leaves", async () => {
    await it.network("red", 200);
    const red = await it.vm("red-1", "a", "red", 200, "52:54:00:00:00:0b", ["10.20.1.11/24"]);
    const left = () =>
      it.lab
        .host("a")
        .interfaces()
        .filter((name) => /^nm[bv]200$/.test(name));
    await it.call("DELETE", "/v1/vms/red-1");
    await waitFor(() => left().join() === "nmb200", { what: "the tunnel to go and the bridge to stay" });
    await red.remove();
    await waitFor(() => left().length === 0, { what: "the bridge to go" });
  });

  test("a network whose device name is taken by a foreign device is reported, and set up once that is gone", async () => {
    const a = it.lab.host("a");
    await a.ip("link add nmb300 type bridge", "link set nmb300 up");
    await it.network("green", 300);
    await it.call("POST", "/v1/vms", {
      name: "green-1",
      host: "a",
      interfaces: [{ network: "green", mac: "52:54:00:00:00:0c", ips: ["10.20.1.12"] }],
    });
    const problems = async () => (await it.call<{ problems: string[] }>("GET", "/v1/hosts/a")).problems;
    await waitFor(async () => (await problems()).some((line) => line.includes("nmb300")), {
      what: "the problem to be reported",
    });
    await a.ip("link del nmb300");
    await waitFor(() => a.interfaces().includes("nmv300"), { what: "nmv300" });
    await waitFor(async () => (await problems()).length === 0, { what: "the problem to go" });
    await it.call("DELETE", "/v1/vms/green-1");
  });
});
