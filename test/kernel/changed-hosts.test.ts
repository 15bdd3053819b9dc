// docs/hosts.md: hosts that get another name, another address or another port, and a host behind 1:1 address translation, while guests
// communicate.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { Guest } from "../../testkit/lab/guest.ts";
import type { Host } from "../../testkit/lab/host.ts";
import type { PingResult } from "../../testkit/lab/ping.ts";
import { nearmiss } from "../../testkit/lab/programs.ts";
import { underlayDevice } from "../../testkit/lab/underlay.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { blockOf } from "../docs/blocks.ts";
import { cluster, statusOf, webAndDb } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

const mac = (n: number) => `52:54:00:00:00:0${n}`;

describeKernel("while guests communicate", () => {
  const it = cluster({ hosts: 2, underlay: 4 });
  let a: Host;
  let guest: Guest;

  beforeAll(async () => {
    a = it.lab.host("a");
    guest = await webAndDb(it);
  });

  /** Packets of a ping every 20 ms during `change`, and until 25 more were answered after it. */
  async function during(change: () => Promise<void>): Promise<PingResult> {
    const ping = guest.startPing("10.20.1.2", { intervalMs: 20 });
    await waitFor(() => ping.received() >= 10, { what: "a ping that runs" });
    await change();
    const before = ping.received();
    await waitFor(() => ping.received() >= before + 25, { what: "answers after the change" });
    return ping.stop();
  }

  /** All or nothing, as one revision. */
  async function importLines(...lines: readonly object[]): Promise<void> {
    const file = join(it.lab.directory, "change.ndjson");
    writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    await it.lab.host("b").exec(nearmiss("import", file, "--controller", it.lab.controllerUrl));
  }

  const applied = async (host: string) => {
    const { revision } = await it.call<{ revision: number }>("GET", "/readyz");
    await waitFor(
      async () =>
        (await it.call<{ appliedRevision?: number }>("GET", `/v1/hosts/${host}`)).appliedRevision === revision,
      { what: `${host} to be up to date` },
    );
  };
  const problems = async (host: string) => (await it.call<{ problems: string[] }>("GET", `/v1/hosts/${host}`)).problems;

  test("a host gets another name, and no packet is lost", async () => {
    const interfaces = [{ network: "blue", mac: mac(1), ips: ["10.20.1.1"] }];
    const { lost, sent } = await during(async () => {
      await a.agent.stop();
      await importLines(
        { kind: "host", name: "a", delete: true },
        { kind: "host", name: "a2", vtep: a.address },
        { kind: "vm", name: "web-1", host: "a2", interfaces },
      );
      a.startAgent({ extraArgs: ["--host", "a2"] });
      await a.agent.waitForLog(({ msg }) => msg === "session with the controller");
      await applied("a2");
      await applied("b");
    });
    expect(sent).toBeGreaterThan(30);
    expect(lost).toEqual([]);
  });

  test("an agent of the former name is refused while the new one runs, and removes nothing", async () => {
    const second = a.exec(
      nearmiss(
        "agent",
        "--controller",
        it.lab.controllerUrl,
        "--host",
        "a",
        "--vtep",
        a.address,
        "--socket",
        `${a.agentSocket}.2`,
      ),
    );
    await expect(second).rejects.toThrow(/an agent runs in this network namespace already/);
    expect(a.interfaces()).toEqual(expect.arrayContaining(["nmb100", "nmv100"]));
    expect((await guest.ping("10.20.1.2")).received).toBe(1);
  });

  test("a host gets another address beside the present one, and no packet is lost", async () => {
    await a.ip(`address add 192.0.2.77/24 dev ${underlayDevice}`);
    const { lost } = await during(async () => {
      const command = blockOf("docs/hosts.md", "nearmiss host update a").trim().replace(" a ", " a2 ");
      const [, ...args] = command.split(" ");
      await it.lab.host("b").exec(nearmiss(...args, "--controller", it.lab.controllerUrl));
      await applied("b");
      await applied("a2");
    });
    expect(lost.length).toBeLessThanOrEqual(2);
    // The flag of its agent is the operator's own statement, and out of date now.
    expect((await problems("a2")).join()).toMatch(
      /^the agent was started with VTEP \S+; registered is 192\.0\.2\.77, which is used; /,
    );
    await a.agent.stop();
    a.startAgent({ extraArgs: ["--host", "a2", "--vtep", "192.0.2.77"] });
    await a.agent.waitForLog(({ msg }) => msg === "session with the controller");
    await waitFor(async () => (await problems("a2")).length === 0, { what: "no problem" });
    expect((await it.entries("b", 100)).fdb.join()).toContain("dst 192.0.2.77");
  });

  test("all hosts get another port in one revision: no finding about our own devices", async () => {
    const { vtep } = await it.call<{ vtep: string }>("GET", "/v1/hosts/b");
    const result = await during(async () => {
      await importLines(
        { kind: "host", name: "a2", vtep: "192.0.2.77", port: 4790 },
        { kind: "host", name: "b", vtep, port: 4790 },
      );
      await applied("b");
      await applied("a2");
    });
    // Each host makes its device anew: some packets are lost, and then none.
    expect(result.received).toBeGreaterThan(25);
    for (const host of ["a2", "b"]) expect((await problems(host)).join()).toBe("");
    const { events } = await it.call<{ events: { type: string }[] }>("GET", "/v1/operational-events");
    expect(events.filter(({ type }) => type.endsWith("second-device"))).toEqual([]);
  });

  describe("behind 1:1 address translation", () => {
    test("a host has an address of its own, and another for its peers", async () => {
      // What a router in front of the host does: 192.0.2.77 outside is 10.99.0.1 inside.
      await a.ip(`address add 10.99.0.1/32 dev ${underlayDevice}`);
      for (const line of [
        "add table ip translate",
        "add chain ip translate in { type nat hook prerouting priority -100 ; }",
        "add chain ip translate out { type nat hook postrouting priority 100 ; }",
        "add rule ip translate in ip daddr 192.0.2.77 udp dport 4790 dnat to 10.99.0.1",
        "add rule ip translate out ip saddr 10.99.0.1 snat to 192.0.2.77",
      ]) {
        await a.exec(["nft", ...line.split(" ")]);
      }
      await a.agent.stop();
      const [, , ...flags] = blockOf("docs/hosts.md", "nearmiss agent --vtep")
        .trim()
        .replace("198.51.100.7", "192.0.2.77")
        .replace("10.0.0.7", "10.99.0.1")
        .split(" ");
      a.startAgent({ extraArgs: ["--host", "a2", ...flags] });
      await a.agent.waitForLog(({ msg }) => msg === "session with the controller");
      await waitFor(async () => (await a.exec(["ip", "-d", "link", "show", "nmv100"])).includes("local 10.99.0.1"), {
        what: "the tunnel's own address",
      });
      await waitFor(async () => (await guest.ping("10.20.1.2")).received === 1, { what: "an answer" });
      expect((await it.entries("b", 100)).fdb.join()).toContain("dst 192.0.2.77");
      expect((await problems("a2")).join()).toBe("");
    });
  });
});

describeKernel("an agent that runs under a deleted name", () => {
  const it = cluster({ hosts: 2, underlay: 4 });

  test("registers it again and removes nothing, in this session and later ones, until the new name takes over", async () => {
    const guest = await webAndDb(it);
    const a = it.lab.host("a");
    await a.ip(`address add 192.0.2.77/24 dev ${underlayDevice}`);
    const ping = guest.startPing("10.20.1.2", { intervalMs: 20 });
    const again = a.agent.waitForLog(({ msg }) => msg === "in sync with the controller");
    const file = join(it.lab.directory, "renamed.ndjson");
    const lines = [
      { kind: "host", name: "a", delete: true },
      { kind: "host", name: "a2", vtep: "192.0.2.77" },
      { kind: "vm", name: "web-1", host: "a2", interfaces: [{ network: "blue", mac: mac(1), ips: ["10.20.1.1"] }] },
    ];
    writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    await it.lab.host("b").exec(nearmiss("import", file, "--controller", it.lab.controllerUrl));
    await again;
    const said = /^VNI 100 has devices here of another registration of this host, .* they stay, /;
    const problems = async () => (await statusOf(a)).problems;
    await waitFor(async () => (await problems()).some((text) => said.test(text)), { what: "the condition" });
    await a.agent.stop();
    a.startAgent();
    await a.agent.waitForLog(({ msg }) => msg === "in sync with the controller");
    expect((await problems()).join()).toMatch(said);
    await a.agent.stop();
    a.startAgent({ extraArgs: ["--host", "a2", "--vtep", "192.0.2.77"] });
    await a.agent.waitForLog(({ msg }) => msg === "in sync with the controller");
    await waitFor(async () => (await problems()).length === 0, { what: "no problem" });
    const before = ping.received();
    await waitFor(() => ping.received() >= before + 25, { what: "answers after the change" });
    const { lost, received } = await ping.stop();
    expect(received).toBeGreaterThan(50);
    expect(lost.length).toBeLessThanOrEqual(2);
    expect(await a.exec(["ip", "-d", "link", "show", "nmv100"])).toContain("local 192.0.2.77");
  });
});

describeKernel("all hosts get VTEPs of the other family in one revision", () => {
  const it = cluster({ hosts: 2, underlay: 4 });
  let guest: Guest;

  test.each([
    ["IPv6", 6],
    ["IPv4", 4],
  ] as const)(
    "to %s: guests communicate again, and nothing of the former family is left or reported",
    async (_, family) => {
      const hosts = ["a", "b"].map((name) => it.lab.host(name));
      if (family === 6) {
        guest = await webAndDb(it);
        // 20 bytes more, which hosts and switches have to carry before.
        for (const [at, host] of hosts.entries())
          await host.ip(
            `link set ${underlayDevice} mtu 1520`,
            `address add fd00:77::${at + 1}/64 dev ${underlayDevice} nodad`,
          );
      }
      const vtepOf = (host: Host, at: number) => (family === 6 ? `fd00:77::${at + 1}` : host.address);
      const ping = guest.startPing("10.20.1.2", { intervalMs: 20 });
      await waitFor(() => ping.received() >= 10, { what: "a ping that runs" });
      const file = join(it.lab.directory, `family-${family}.ndjson`);
      const lines = hosts.map((host, at) => ({ kind: "host", name: host.name, vtep: vtepOf(host, at) }));
      writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
      await hosts[1]?.exec(nearmiss("import", file, "--controller", it.lab.controllerUrl));
      const before = ping.received();
      await waitFor(() => ping.received() >= before + 50, { what: "answers after the change" });
      const { sent, received } = await ping.stop();
      // A packet every 20 ms: a second of them at most.
      expect(sent - received).toBeLessThanOrEqual(50);
      for (const [at, host] of hosts.entries()) {
        expect(await host.exec(["ip", "-d", "link", "show", "nmv100"])).toContain(`local ${vtepOf(host, at)}`);
        const others = (await it.entries(host.name, 100)).fdb.join();
        expect(others).toContain(`dst ${vtepOf(hosts[1 - at] ?? host, 1 - at)}`);
        const devices = host.interfaces().filter((name) => name.startsWith("nmv"));
        expect(devices).toEqual(["nmv100"]);
        const { conditions } = await it.call<{ conditions: { kind: string }[] }>(
          "GET",
          `/v1/conditions?host=${host.name}`,
        );
        // Of the flag with which the lab has started the agent.
        expect(conditions.filter(({ kind }) => kind !== "vtep-mismatch")).toEqual([]);
      }
    },
  );
});
