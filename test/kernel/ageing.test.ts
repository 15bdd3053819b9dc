// Entries that no traffic uses leave the host, and nothing that is in use does: ages are the kernel's own.
import { afterEach, beforeAll, expect, test } from "vitest";
import type { Guest } from "../../testkit/lab/guest.ts";
import { waitFor, waitUntil } from "../../testkit/lab/wait.ts";
import { mac, vni } from "../support/addresses.ts";
import { cluster } from "../support/cluster.ts";
import { agentNetwork, describeKernel, epoch, kernelHost, localVtep } from "../support/kernel.ts";

const macOf = (n: number): string => `52:54:00:00:00:0${n}`;

describeKernel("what the kernel says of use", () => {
  const host = kernelHost();
  const tunnel = {
    kind: "tunnel",
    vni: vni(100),
    mac: mac(macOf(1)),
    vtep: localVtep.vtep,
    vtepPort: 4789,
  } as const;
  const age = async (): Promise<number> => (await host.tables.idleMs(vni(100))).get(tunnel.mac) ?? Number.NaN;

  test("an entry's age starts when it is created, in milliseconds, and replacing it does not count as use", async () => {
    await host.devices.ensure(agentNetwork(100), localVtep, epoch);
    const putMs = performance.now();
    await host.tables.apply([{ verb: "put", entry: tunnel }]);
    await waitFor(async () => (await age()) >= 300, { what: "the entry to grow 300 ms old", everyMs: 20 });
    expect(performance.now() - putMs).toBeGreaterThan(250);
    await host.tables.apply([{ verb: "put", entry: { ...tunnel, vtepPort: 8472 } }]);
    const old = await age();
    expect(old).toBeGreaterThanOrEqual(300);
    expect(old).toBeLessThanOrEqual(performance.now() - putMs + 20);
  });
});

describeKernel("entries that nothing uses", () => {
  const it = cluster({ hosts: 2, underlay: 4 });
  let asker: Guest;

  beforeAll(async () => {
    await it.network("blue", 100);
    asker = await it.vm("asker", "a", "blue", 100, macOf(1), ["10.20.1.1/24", "fd00:20::1/64"]);
    for (const n of [2, 3, 4]) {
      await it.vm(`peer-${n}`, "b", "blue", 100, macOf(n), [`10.20.1.${n}/24`, `fd00:20::${n}/64`]);
    }
  });

  afterEach(async () => {
    await it.lab.host("a").agent.stop();
  });

  async function startAgent(...extraArgs: string[]): Promise<void> {
    const a = it.lab.host("a");
    await a.agent.stop();
    // Leftovers of an earlier run are taken over: start without any.
    for (const line of (await it.entries("a", 100)).neighbours) {
      await a.exec(["ip", "neigh", "del", line.split(" ")[0] ?? "", "dev", "nmv100"]);
    }
    for (const line of (await it.entries("a", 100)).fdb) {
      const [entry = "", , vtep = ""] = line.split(" ");
      const place = line.includes(" self ") ? ["dst", vtep, "self"] : ["master"];
      await a.exec(["bridge", "fdb", "del", entry, "dev", "nmv100", ...place]);
    }
    a.startAgent({ extraArgs });
    await a.agent.waitForLog((line) => line.msg === "in sync with the controller");
    await asker.forgetNeighbours();
  }

  const heldMacs = async (): Promise<string[]> => {
    const { fdb } = await it.entries("a", 100);
    return [...new Set(fdb.map((line) => line.split(" ")[0] ?? ""))].sort();
  };
  const neighbours = async (): Promise<string[]> => {
    return (await it.entries("a", 100)).neighbours.map((line) => line.split(" ")[0] ?? "").sort();
  };
  const released = async (): Promise<number> => {
    const { body } = await it.lab.api<string>("GET", "/metrics");
    return Number(/^nearmiss_controller_released_total (\d+)/m.exec(body)?.[1]);
  };

  test("are evicted with all their IPs and released, while an entry that a ping uses stays and the ping loses nothing", async () => {
    await startAgent("--idle-timeout", "4s");
    const before = await released();
    const ping = asker.startPing("10.20.1.2", { intervalMs: 100 });
    await waitFor(() => ping.received() > 0, { what: "the ping to run" });
    expect((await asker.ping("10.20.1.3")).received).toBe(1);
    expect((await asker.ping("fd00:20::3")).received).toBe(1);
    await waitFor(async () => (await heldMacs()).join() === macOf(2), {
      what: "the idle entries to leave host a",
    });
    expect(await neighbours()).toEqual(["10.20.1.2"]);
    await waitFor(async () => (await released()) === before + 3, { what: "two IPs and a MAC to be released" });
    // Through several more readings of the ages.
    const at = ping.received();
    await waitFor(() => ping.received() > at + 20, { what: "the ping to go on" });
    expect((await ping.stop()).lost).toEqual([]);
    // A guest that asks again is answered as the first time.
    await asker.forgetNeighbours();
    expect((await asker.ping("10.20.1.3")).received).toBe(1);
    expect(await neighbours()).toContain("10.20.1.3");
  });

  test("stay while the controller is unreachable, since it could not answer for them again", async () => {
    await startAgent("--idle-timeout", "1s");
    // In use until it could no longer be resolved.
    const ping = asker.startPing("10.20.1.3", { intervalMs: 50 });
    await waitFor(() => ping.received() > 0, { what: "the ping to run" });
    await it.lab.controller.stop("SIGKILL");
    await it.lab.host("a").agent.nextLog((line) => line.msg === "no session with the controller");
    await ping.stop();
    const age = async (): Promise<number> => {
      const text = await it.lab.host("a").exec(["bridge", "-s", "fdb", "show", "dev", "nmv100"]);
      return Number(new RegExp(`${macOf(3)} dst .* used (\\d+)/`).exec(text)?.[1] ?? Number.NaN);
    };
    await waitFor(async () => (await age()) >= 3, {
      what: "the entry to be idle three times over",
    });
    expect(await heldMacs()).toEqual([macOf(3)]);
    await it.lab.startController();
    await waitUntil(heldMacs, (macs) => macs.length === 0, {
      what: "the idle entry to leave once the controller is back",
    });
  });

  test("make room at the limit: the least recently used are evicted, a running ping's entry is not", async () => {
    // Room for eight VMs with one IP each; its own VM does not count.
    await startAgent("--idle-timeout", "off", "--max-per-network", "16");
    const { agent } = it.lab.host("a");
    const vms = Array.from({ length: 11 }, (_, i) => ({ ip: `10.20.1.${100 + i}`, mac: `52:54:00:00:01:${10 + i}` }));
    for (const { ip, mac } of vms) {
      const interfaces = [{ network: "blue", mac, ips: [ip] }];
      await it.call("POST", "/v1/vms", { name: `far-${ip}`, host: "b", interfaces });
    }
    const ping = asker.startPing("10.20.1.2", { intervalMs: 50 });
    await waitFor(() => ping.received() > 2, { what: "the ping to run" });
    const asked: Promise<unknown>[] = [];
    const ask = async (ip: string): Promise<void> => {
      asked.push(asker.ping(ip, { deadlineS: 1 }));
      await waitFor(async () => (await neighbours()).includes(ip), { what: `the entry for ${ip}` });
      expect((await neighbours()).length + (await heldMacs()).length).toBeLessThanOrEqual(16);
    };
    for (const { ip } of vms.slice(0, 7)) await ask(ip);
    expect(await heldMacs()).toEqual([macOf(2), ...vms.slice(0, 7).map(({ mac }) => mac)]);
    await agent.waitForLog((line) => line.msg.startsWith("address limit reached"));
    const at = ping.received();
    await waitFor(() => ping.received() > at + 2, { what: "the ping to go on" });
    for (const { ip } of vms.slice(7)) await ask(ip);
    // The ping was asked for first of all.
    expect(await heldMacs()).toEqual([macOf(2), ...vms.slice(4).map(({ mac }) => mac)]);
    expect((await ping.stop()).lost).toEqual([]);
    await Promise.all(asked);
  });
});
