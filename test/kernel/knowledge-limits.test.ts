// The limits of networks in memory, on a real kernel: what a scan costs, what does not fit, and how long a host answers by itself.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import type { ConditionView } from "../../schema/rest/index.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import { Scan } from "../../testkit/lab/scan.ts";
import { waitUntil } from "../../testkit/lab/wait.ts";
import { cluster, statusOf } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

const mac = (n: number) => `52:54:00:00:00:${n.toString(16).padStart(2, "0")}`;
const subnet = "10.30.0.0/16";

describeKernel("a network in memory", () => {
  const it = cluster({ hosts: 2, underlay: 4, agentArgs: ["--max-replica-memory", "1", "--max-stale", "2s"] });
  let one: Guest;

  const statusIn = async (host: string) => {
    const status = await statusOf(it.lab.host(host));
    return { ...status, replica: status.networks.find(({ vni }) => vni === 100)?.replica };
  };
  const untilReplica = (host: string, state: string) =>
    waitUntil(
      () => statusIn(host),
      ({ replica }) => replica?.state === state,
      { what: `the table of host ${host} to be ${state}` },
    );
  const boot = async (name: string, host: string, n: number) => {
    const guest = await it.vm(name, host, "blue", 100, mac(n), [`10.30.0.${n}/16`]);
    guest.askOnce();
    return guest;
  };
  /** Registers VMs on a host without an agent. */
  const load = async (count: number) => {
    const directory = mkdtempSync(join(tmpdir(), "nearmiss-"));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    // A host may have 4,096 VMs.
    const ipsOf = (n: number) => Array.from({ length: 8 }, (_, i) => `10.30.${20 + 16 * i + (n >> 8)}.${n & 255}`);
    const lines = Array.from({ length: count }, (_, n) => {
      const byte = (value: number) => (value & 255).toString(16).padStart(2, "0");
      const interfaces = [{ network: "blue", mac: `52:54:01:00:${byte(n >> 8)}:${byte(n)}`, ips: ipsOf(n) }];
      return JSON.stringify({ kind: "vm", name: `load-${n}`, host: "far", interfaces });
    });
    writeFileSync(join(directory, "load"), lines.map((line) => `${line}\n`).join(""));
    await it.call("PUT", "/v1/hosts/far", { vtep: "192.0.2.99" });
    await it.lab.operate("import", "--quiet", join(directory, "load"));
  };
  const questions = async () => {
    const text = await it.call<string>("GET", "/metrics");
    const counts = text.matchAll(/^nearmiss_controller_resolves_total\{[^}]*\} (\d+)/gm);
    return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
  };

  beforeAll(async () => {
    await it.network("blue", 100, { knowledge: "replicate", subnets: [subnet] });
    one = await boot("one", "a", 1);
    await boot("two", "b", 2);
    for (const host of ["a", "b"]) await untilReplica(host, "complete");
  });

  test("lets a guest scan a /16 without a question to the controller", async () => {
    const before = await questions();
    const { counters } = await statusIn("a");
    // Ignored for a while then, so it is none of the others.
    const scanner = await boot("scanner", "a", 9);
    const scan = await Scan.start(scanner, {
      mac: mac(9),
      ip: "10.30.0.9",
      firstIp: "10.30.1.0",
      size: 60_000,
      rate: 0,
    });
    onTestFinished(() => scan.end());
    scan.go();
    await waitUntil(
      () => statusIn("a"),
      (status) => status.counters.unregistered > counters.unregistered + 200 && status.counters.overBudget > 0,
      { what: "the scan to be answered from memory, and to use up its budget" },
    );
    const { questions: sent } = await scan.pause();
    expect(sent).toBeGreaterThan(200);
    const after = await statusIn("a");
    expect(after.counters.asked).toBe(counters.asked);
    expect(await questions()).toBe(before);
  });

  test("answers no longer than --max-stale without a session, and says so; what the kernel has goes on", async () => {
    expect(await one.ping("10.30.0.2")).toMatchObject({ received: 1 });
    await boot("three", "b", 3);
    await it.lab.controller.stop("SIGKILL");
    const { problems } = await waitUntil(
      () => statusIn("a"),
      (status) => status.problems.some((says) => says.includes("--max-stale")),
      { what: "the condition" },
    );
    expect(problems.join("\n")).toContain("blue");
    expect(await one.ping("10.30.0.2")).toMatchObject({ received: 1 });
    expect(await one.ping("10.30.0.3", { deadlineS: 1 })).toMatchObject({ received: 0 });
    await it.lab.startController();
    await untilReplica("a", "complete");
    // It asked once, and waits for ever.
    await one.forgetNeighbours();
    expect(await one.ping("10.30.0.3")).toMatchObject({ received: 1 });
  });

  test("that is larger than --max-replica-memory is on demand on its hosts, which is a condition until it fits", async () => {
    await load(4_000);
    await untilReplica("a", "no room");
    const large = async () => {
      const { conditions } = await it.call<{ conditions: ConditionView[] }>("GET", "/v1/conditions");
      return conditions.filter(({ kind, host }) => kind === "replica-too-large" && host === "a");
    };
    const [condition] = await waitUntil(large, ({ length }) => length === 1, { what: "the condition" });
    expect(condition?.reason).toContain("do not fit into the 1 MiB");
    const { asked } = (await statusIn("a")).counters;
    const ip = "10.30.20.7";
    expect(await one.ping(ip, { deadlineS: 1 })).toMatchObject({ received: 0 });
    expect((await statusIn("a")).counters.asked).toBe(asked + 1);
    expect((await it.entries("a", 100)).neighbours).toContain(`${ip} lladdr 52:54:01:00:00:07 PERMANENT proto 78`);
    await it.call("PATCH", "/v1/networks/blue", { knowledge: "on-demand" });
    await waitUntil(large, ({ length }) => length === 0, { what: "the condition to end" });
  });
});
