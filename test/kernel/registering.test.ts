// `vm create` and `vm delete` change nothing on a host but nearmiss's own devices and entries.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { Host } from "../../testkit/lab/host.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { cluster } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

type Facts = Readonly<Record<string, unknown>>;

/**
 * Devices that are not nearmiss's with their addresses, routes, and the programs that run in the namespace. Without the bridge of a port: with
 * its network gone it is in none.
 */
async function surroundings(host: Host) {
  const json = async (...args: string[]) => JSON.parse(await host.exec(["ip", "-j", ...args])) as Facts[];
  const isOwn = ({ ifname, dev }: Facts) => /^nm[bv]\d/.test(String(ifname ?? dev));
  const pids = (await host.exec(["ip", "netns", "pids", host.namespace])).trim().split("\n");
  const programs = pids.flatMap((pid) => {
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
      return line === "" || line.startsWith("ip netns pids") ? [] : [`${pid} ${line}`];
    } catch {
      return [];
    }
  });
  const others = (facts: readonly Facts[]) => facts.filter((each) => !isOwn(each));
  const addresses = others(await json("address", "show")).map(({ master: _, ...each }) => each);
  return { addresses, routes: others(await json("route", "show", "table", "all")), programs };
}

describeKernel("registering", () => {
  const it = cluster({ hosts: 2, underlay: 4 });

  test("a VM makes, starts and stops none: what changes on its host is nearmiss's own", async () => {
    const [a, b] = [it.lab.host("a"), it.lab.host("b")];
    await it.network("blue", 100);
    const run = (...args: string[]) => it.lab.operate(...args);
    const before = await surroundings(a);

    await run(
      "vm",
      "create",
      "web-1",
      "--host",
      "a",
      "-i",
      "network=blue,mac=52:54:00:00:00:01,ip=10.20.1.1",
      "--wait",
    );
    expect(a.interfaces()).toEqual(expect.arrayContaining(["nmb100", "nmv100"]));
    expect(await surroundings(a)).toEqual(before);

    // Now its hypervisor starts it, and it talks.
    const web = await a.addGuest({ name: "web-1", vni: 100, mac: "52:54:00:00:00:01", ips: ["10.20.1.1/24"] });
    const db = await it.vm("db-1", "b", "blue", 100, "52:54:00:00:00:02", ["10.20.1.2/24"]);
    expect((await web.ping("10.20.1.2")).received).toBe(1);
    const [running, elsewhere] = [await surroundings(a), await surroundings(b)];

    await run("vm", "delete", "web-1");
    await waitFor(async () => (await it.entries("b", 100)).neighbours.every((line) => !line.includes("10.20.1.1 ")), {
      what: "b to have removed its entries",
    });
    // Its card, its port and its address are as they were: it lost its network, and no more.
    await waitFor(async () => !a.interfaces().includes("nmv100"), { what: "a to have removed the tunnel" });
    expect(await surroundings(a)).toEqual(running);
    expect(await surroundings(b)).toEqual(elsewhere);
    expect(await web.exec(["ip", "-br", "address", "show", "dev", "eth0"])).toMatch(/UP.*10\.20\.1\.1\/24/);
    expect((await db.ping("10.20.1.1")).received).toBe(0);
  });
});
