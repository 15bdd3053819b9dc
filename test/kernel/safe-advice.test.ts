// Advice that is followed to the letter in the wrong situation does no harm: nothing in use is removed.
import { randomBytes } from "node:crypto";
import { beforeAll, expect, test } from "vitest";
import type { Explanation } from "../../node-agent/status/explanation.ts";
import { CommandError, run as runHere } from "../../testkit/lab/command.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import type { Host } from "../../testkit/lab/host.ts";
import { deleteNamespaces } from "../../testkit/lab/namespace.ts";
import { nearmiss } from "../../testkit/lab/programs.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { cluster, webAndDb } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

const mac1 = "52:54:00:00:00:01";

describeKernel("followed to the letter", () => {
  const it = cluster({ hosts: 2, underlay: 4 });
  let a: Host;
  let guest: Guest;

  beforeAll(async () => {
    a = it.lab.host("a");
    guest = await webAndDb(it);
  });

  async function run(...args: readonly string[]): Promise<{ status: number | string; text: string }> {
    try {
      return { status: 0, text: await a.exec(nearmiss(...args)) };
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      return { status: error.status, text: error.stdout + error.stderr };
    }
  }
  const remove = (...args: readonly string[]) => run("agent", "remove", ...args, "--socket", a.agentSocket);
  const problems = async () => (await it.call<{ problems: string[] }>("GET", "/v1/hosts/a")).problems;

  test("`agent remove` deletes no device with a guest, and none that an agent serves", async () => {
    const { status, text } = await remove("nmv100", "nmb100", "--yes");
    expect(status).toBe(4);
    expect(text).toMatch(/nmv100 is in use by the agent of host a, for network blue/);
    expect(text).toMatch(/nmb100 has the port \S+\n/);
    expect(text).toContain("nothing was removed");
    expect((await guest.ping("10.20.1.2")).received).toBe(1);
  });

  test("`agent remove` deletes what nothing uses, only with a yes, and all of it or nothing", async () => {
    await a.ip(
      "link add idle9 type bridge",
      "link add idle10 type vxlan id 910 dstport 14789",
      "link set idle10 master idle9",
    );
    expect(await remove("idle9", "idle10")).toMatchObject({ status: 1 });
    expect(await remove("idle9", "gone9", "--yes")).toMatchObject({ status: 3 });
    expect(a.interfaces()).toContain("idle9");
    expect(await remove("idle9", "idle10", "--yes")).toEqual({ status: 0, text: "removed idle9, idle10\n" });
    expect(a.interfaces().filter((name) => name.startsWith("idle"))).toEqual([]);
  });

  test("the devices of another store are left with their guests", async () => {
    const alias = (await a.exec(["ip", "-d", "link", "show", "nmb100"])).match(/alias (.*)/)?.[1] ?? "";
    await a.agent.stop();
    const elsewhere = alias.replace(/\S+$/, "00000000-0000-4000-8000-000000000000").trim();
    for (const name of ["nmv100", "nmb100"]) await a.exec(["ip", "link", "set", name, "alias", elsewhere]);
    await it.call("DELETE", "/v1/vms/web-1");
    a.startAgent();
    const says = await waitFor(async () => (await problems()).find((text) => text.includes("another store")), {
      what: "the problem",
    });
    const command = /nearmiss agent remove \S+ \S+/.exec(says)?.[0] ?? "";
    const { status, text } = await run(...command.split(" ").slice(1), "--yes");
    expect({ status, text }).toMatchObject({ status: 4, text: expect.stringContaining("nmb100 has the port") });
    expect(a.interfaces()).toEqual(expect.arrayContaining(["nmv100", "nmb100"]));
  });

  test("a VNI that is taken by a device in another network namespace is named, also by explain", async () => {
    const other = `nmadvice${randomBytes(3).toString("hex")}`;
    await runHere(["ip", "netns", "add", other]);
    try {
      await a.ip(`link add away type vxlan id 400 local ${a.address} dstport 4789`);
      await a.ip(`link set away netns ${other}`);
      await it.network("red", 400);
      await it.call("POST", "/v1/vms", {
        name: "red-1",
        host: "a",
        interfaces: [{ network: "red", mac: mac1, ips: ["10.20.1.1"] }],
      });
      const says = await waitFor(async () => (await problems()).find((text) => text.includes("nmv400")), {
        what: "the problem",
      });
      expect(says).toContain("VNI 400 and UDP port 4789 was made here and is now in another network namespace");
      const args = ["explain", "--network", "red", "10.20.1.1", "10.20.1.2", "--json", "--socket", a.agentSocket];
      const { first } = JSON.parse((await run(...args)).text) as Explanation;
      expect(first?.fix).toMatch(/^the agent cannot: nmv400 cannot be made/);
    } finally {
      await deleteNamespaces([other]);
    }
    await waitFor(() => a.interfaces().includes("nmb400"), { what: "the network's bridge" });
  });

  test("a second agent in a network namespace is refused, under any name", async () => {
    const { status, text } = await run(
      ...["agent", "--controller", "http://127.0.0.1:1", "--host", "c", "--socket", `${a.agentSocket}.2`],
    );
    expect(status).toBe(1);
    expect(text).toMatch(/an agent runs in this network namespace already \(process \d+, .*agent.*--host a/);
    await a.agent.stop();
    const again = a.startAgent();
    await again.waitForLog(({ msg }) => msg === "session with the controller");
  });
});
