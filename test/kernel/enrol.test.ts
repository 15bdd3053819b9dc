// Enrolment end to end: the operator's command enrols a host, and everything after it uses mutual TLS.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { whyNoLab } from "../../testkit/lab/lab.ts";
import { processesIn } from "../../testkit/lab/namespace.ts";
import { nearmiss } from "../../testkit/lab/programs.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { cluster } from "../support/cluster.ts";

const certificateEnded = 4401;

describe.skipIf(whyNoLab() !== undefined)("hosts that enrol", () => {
  const world = cluster({ hosts: 2, underlay: 4, secured: true, controllerArgs: ["--cert-lifetime", "12s"] });

  const connected = (host: string) =>
    waitFor(async () => (await world.call<{ connected: boolean }>("GET", `/v1/hosts/${host}`)).connected, {
      what: `host ${host} to connect`,
    });

  const storedIn = (host: string) => join(world.lab.directory, `state-${host}`, "networks", host, "host");

  test("answer their guests' misses with answers received over mutual TLS", async () => {
    await world.network("blue", 100);
    const web = await world.vm("web", "a", "blue", 100, "52:54:00:00:00:01", ["10.20.1.1/24", "fd00:20::1/64"]);
    await world.vm("db", "b", "blue", 100, "52:54:00:00:00:02", ["10.20.1.2/24", "fd00:20::2/64"]);
    for (const ip of ["10.20.1.2", "fd00:20::2"]) {
      expect(await web.ping(ip, { count: 1, deadlineS: 5 })).toMatchObject({ received: 1 });
    }
    const { vtep } = await world.call<{ vtep: string }>("GET", "/v1/hosts/a");
    expect(vtep).toBe(world.lab.host("a").address);
  });

  test("explain a path with the reads that their own certificate allows", async () => {
    const host = world.lab.host("a");
    const options = ["--network", "blue", "--socket", host.agentSocket];
    expect(await host.exec(nearmiss("explain", "10.20.1.1", "10.20.1.2", ...options))).toContain("Nothing is wrong");
  });

  test("leave no secret where others can read it: not in ps, not in a log, not in a world-readable file", () => {
    const { lab } = world;
    const state = join(lab.directory, "state-a");
    const { key } = JSON.parse(readFileSync(join(state, "identity.json"), "utf8"));
    const admin = readFileSync(lab.operatorFiles.token, "utf8").trim();
    const namespaces = [lab.controllerNamespace.namespace, ...lab.hosts.map(({ namespace }) => namespace)];
    const commands = processesIn(namespaces).map((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8"));
    expect(commands.filter((text) => text.includes("nearmiss")).length).toBeGreaterThanOrEqual(3);
    const logs = [lab.controller, ...lab.hosts.map(({ agent }) => agent)].map(({ logs }) => JSON.stringify(logs));
    for (const text of [...commands, ...logs]) {
      expect(text).not.toMatch(/nmj_[\w-]{20}/);
      expect(text).not.toContain(admin);
      expect(text).not.toContain(key.split("\n")[1]);
    }
    const secret = [
      lab.operatorFiles.token,
      state,
      `${join(lab.directory, "controller.db")}.pki`,
      ...privateFiles(state),
    ];
    for (const file of secret) expect([file, statSync(file).mode & 0o077]).toEqual([file, 0]);
  });

  test("renew their certificates again and again, and keep their sessions", async () => {
    const { agent } = world.lab.host("b");
    await agent.nextLog(({ msg }) => msg === "certificate renewed", "a renewal");
    await agent.nextLog(({ msg }) => msg === "certificate renewed", "another renewal");
    expect(agent.logs.filter(({ msg }) => msg === "no session with the controller")).toEqual([]);
    expect(agent.logs.filter(({ msg }) => msg.startsWith("enrolled"))).toHaveLength(1);
  });

  test("reconnect after a restart with their stored identity", async () => {
    const host = world.lab.host("a");
    await host.agent.stop();
    const again = host.startAgent();
    await again.waitForLog(({ msg }) => msg === "in sync with the controller", "the session");
    expect(again.logs.some(({ msg }) => msg.startsWith("enrolled"))).toBe(false);
  });

  test("and are revoked lose their session within 5 s and keep their traffic, until they are admitted again", async () => {
    const { lab } = world;
    const host = lab.host("a");
    const lost = host.agent.nextLog(({ msg }) => msg === "no session with the controller", "its end", 5_000);
    expect(await lab.operate("host", "revoke", "a")).toBe("host a is revoked\n");
    expect((await lost).reason).toContain(`(${certificateEnded})`);
    const removed = host.agent.waitForLog(({ msg }) => /its stored networks are removed/.test(msg), "the removal");
    await host.agent.waitForLog(({ reason }) => /was revoked.*\(401\)/.test(String(reason)), "a refusal");
    await removed;
    expect(existsSync(storedIn("a"))).toBe(false);
    expect(await host.exec(["ip", "neigh", "show", "dev", "nmv100"])).toContain("10.20.1.2");
    await host.agent.stop();
    await host.enrol();
    host.startAgent();
    await connected("a");
    await waitFor(() => existsSync(storedIn("a")), { what: "the networks to be stored again" });
    const what = (await lab.operate("audit", "--since", "1h")).split("\n").filter((line) => line.includes("hosts/a"));
    expect(what.some((line) => line.includes("host.revoked"))).toBe(true);
    expect(what.at(-1)).toMatch(/host\.(enrolled|renewed) hosts\/a/);
  });
});

function privateFiles(directory: string): string[] {
  return readdirSync(directory).map((name) => join(directory, name));
}
