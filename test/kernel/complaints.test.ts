// Bug reports of users of similar systems, reproduced with nearmiss. docs/faults.md has the threads, and the faults of
// `npm run fault` that belong to the same complaint.
import { beforeAll, expect, test } from "vitest";
import type { Guest } from "../../testkit/lab/guest.ts";
import { patienceMs, waitFor, waitUntil } from "../../testkit/lab/wait.ts";
import { cluster, statusOf } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

const macOf = (n: number): string => `52:54:00:00:00:${n.toString(16).padStart(2, "0")}`;
const ipOf = (n: number): string => `10.20.1.${n}`;

describeKernel("complaints of other systems' users", () => {
  const it = cluster({ hosts: 3, underlay: 4, agentArgs: ["--idle-timeout", "off"] });
  let guest: Guest;
  let next = 16;

  beforeAll(async () => {
    await it.network("blue", 100);
    guest = await it.vm("blue-1", "a", "blue", 100, macOf(1), [`${ipOf(1)}/24`]);
    // Keeps hosts b and c in the network when other VMs leave.
    for (const [i, host] of ["b", "c"].entries()) await it.vm(`stays-${host}`, host, "blue", 100, macOf(i + 2), []);
  });

  const number = (): number => next++;
  const tunnelEnd = (host: string): string => it.lab.host(host).address;

  async function boot(n: number, host: string): Promise<Guest> {
    return it.vm(`vm-${n}`, host, "blue", 100, macOf(n), [`${ipOf(n)}/24`]);
  }

  /** Every line of host a's tables about a number's IP or MAC. */
  async function known(n: number, host = "a"): Promise<string[]> {
    const { neighbours, fdb } = await it.entries(host, 100);
    return [
      ...neighbours.filter((line) => line.startsWith(`${ipOf(n)} `)),
      ...fdb.filter((line) => line.startsWith(macOf(n))),
    ];
  }

  const entriesOf = (n: number, host: string): string[] => [
    `${ipOf(n)} lladdr ${macOf(n)} PERMANENT proto 78`,
    `${macOf(n)} dst ${tunnelEnd(host)} self extern_learn permanent`,
    `${macOf(n)} extern_learn master nmb100`,
  ];

  async function waitForEntries(n: number, wanted: readonly string[], host = "a"): Promise<void> {
    await waitUntil(
      () => known(n, host),
      (lines) => lines.join() === wanted.join(),
      { what: `entries ${wanted.join(", ")} on host ${host}` },
    );
  }

  /** Neither guest retries: the packet arrives because both are informed, or not at all. */
  async function expectFirstPacket(n: number, remote: Guest): Promise<void> {
    for (const each of [guest, remote]) each.askOnce();
    expect((await guest.ping(ipOf(n), { deadlineS: patienceMs / 1_000 })).received).toBe(1);
    guest.askEvery(1_000);
  }

  /** Host a has applied all changes so far. */
  async function caughtUp(): Promise<void> {
    const { revision } = await it.call<{ revision: number }>("GET", "/readyz");
    await waitFor(async () => ((await statusOf(it.lab.host("a"))).session.appliedRevision ?? 0) >= revision, {
      what: `host a to follow up to revision ${revision}`,
    });
  }

  test("flannel#172: the first ping is not lost, and does not wait for a retry", async () => {
    const n = number();
    const remote = await boot(n, "b");
    await expectFirstPacket(n, remote);
    await remote.remove();
  });

  test("flannel#172: an entry does not turn stale and lose the next first packet", async () => {
    const n = number();
    const remote = await boot(n, "b");
    await guest.ping(ipOf(n));
    expect(await known(n)).toEqual(entriesOf(n, "b"));
    await guest.ip(`neigh flush ${ipOf(n)} dev eth0`);
    await expectFirstPacket(n, remote);
    await remote.remove();
  });

  test("flannel#427: a dead address that is asked for repeatedly is one question and one log line, not one each", async () => {
    const n = number();
    const lines = () => it.lab.host("a").agent.logs.filter((line) => line.key === ipOf(n)).length;
    await guest.ping(ipOf(n), { count: 3, deadlineS: 3 });
    await waitFor(lines, { what: "the question" });
    expect(lines()).toBe(1);
  });

  test("moby#52661: the tunnel's FDB entry of a live peer vanishes while its neighbour stays: it is restored", async () => {
    const n = number();
    const remote = await boot(n, "b");
    await guest.ping(ipOf(n));
    await it.lab.host("a").exec(["bridge", "fdb", "del", macOf(n), "dev", "nmv100", "dst", tunnelEnd("b"), "self"]);
    await waitForEntries(n, entriesOf(n, "b"));
    expect((await guest.ping(ipOf(n))).received).toBe(1);
    await remote.remove();
  });

  test("moby#52661: no permanent entry outlives its VM", async () => {
    const n = number();
    const remote = await boot(n, "b");
    await guest.ping(ipOf(n));
    await remote.remove();
    await it.call("DELETE", `/v1/vms/vm-${n}`);
    await waitForEntries(n, []);
  });

  test("moby#35401, libnetwork#1934: an address that returns on another host with another MAC is found there at once", async () => {
    const [n, other] = [number(), number()];
    const first = await boot(n, "b");
    await guest.ping(ipOf(n));
    await first.remove();
    await it.call("DELETE", `/v1/vms/vm-${n}`);
    const second = await it.vm(`vm-${other}`, "c", "blue", 100, macOf(other), [`${ipOf(n)}/24`]);
    await waitFor(async () => (await known(n)).join() === `${ipOf(n)} lladdr ${macOf(other)} PERMANENT proto 78`, {
      what: "the address to lead to the new MAC alone",
    });
    // The guest has the old MAC cached, and is informed after the kernel.
    await waitFor(async () => (await guest.exec(["ip", "neigh", "show", ipOf(n)])).includes(macOf(other)), {
      what: "the guest's entry with the new MAC",
    });
    expect((await guest.ping(ipOf(n))).received).toBe(1);
    await second.remove();
  });

  test("moby#50106: when one of two addresses of a MAC is removed, the entries of the other stay", async () => {
    const [n, second] = [number(), number()];
    const remote = await it.vm(`vm-${n}`, "b", "blue", 100, macOf(n), [`${ipOf(n)}/24`, `${ipOf(second)}/24`]);
    await guest.ping(ipOf(n));
    await guest.ping(ipOf(second));
    const ping = guest.startPing(ipOf(n), { intervalMs: 20 });
    await it.call("PATCH", `/v1/vms/vm-${n}`, { interfaces: [{ network: "blue", mac: macOf(n), ips: [ipOf(n)] }] });
    await waitForEntries(second, []);
    expect(await known(n)).toEqual(entriesOf(n, "b"));
    const seen = ping.received();
    await waitFor(() => ping.received() > seen + 5, { what: "the ping to go on" });
    expect((await ping.stop()).lost).toEqual([]);
    await remote.remove();
  });

  test("libnetwork#1903: a VM that was remote and is now local has no entry left that points away", async () => {
    const n = number();
    const remote = await boot(n, "b");
    await guest.ping(ipOf(n));
    await it.call("PATCH", `/v1/vms/vm-${n}?wait=ready`, { host: "a" });
    await waitForEntries(n, []);
    await remote.moveTo(it.lab.host("a"));
    expect((await guest.ping(ipOf(n))).received).toBe(1);
    await remote.remove();
  });

  test("FRR#2129, FRR#10468: moved back and forth, every peer follows each time", async () => {
    const n = number();
    const remote = await boot(n, "b");
    await guest.ping(ipOf(n));
    for (const host of ["c", "b", "c", "b", "c"]) {
      await it.call("PATCH", `/v1/vms/vm-${n}?wait=ready`, { host });
      await waitForEntries(n, entriesOf(n, host));
      await waitForEntries(n, [], host);
    }
    await remote.moveTo(it.lab.host("c"));
    // The first answer misses on the new host, which never sent to host a: the next one finds the way.
    expect((await guest.ping(ipOf(n), { count: 3 })).received).toBeGreaterThan(0);
    await remote.remove();
  });

  test("libnetwork#1433, FRR#21472: a delete right after a new add removes nothing", async () => {
    const n = number();
    const remote = await boot(n, "b");
    await guest.ping(ipOf(n));
    // In a storm of both: the last word is that it is there.
    for (let i = 0; i < 10; i++) {
      await it.call("DELETE", `/v1/vms/vm-${n}`);
      const interfaces = [{ network: "blue", mac: macOf(n), ips: [ipOf(n)] }];
      await it.call("POST", "/v1/vms", { name: `vm-${n}`, host: i % 2 === 0 ? "c" : "b", interfaces });
    }
    // As it was before the storm, and in the middle of it.
    await caughtUp();
    expect(await known(n)).toEqual(entriesOf(n, "b"));
    expect((await guest.ping(ipOf(n))).received).toBe(1);
    await remote.remove();
  });

  test("flannel#2554: entries deleted while the agent was stopped are gone when it runs again, and the rest was never touched", async () => {
    const [gone, stays] = [number(), number()];
    const [first, second] = [await boot(gone, "b"), await boot(stays, "c")];
    await guest.ping(ipOf(gone));
    await guest.ping(ipOf(stays));
    const { agent } = it.lab.host("a");
    agent.signal("SIGKILL");
    await agent.ended;
    await it.call("DELETE", `/v1/vms/vm-${gone}`);
    const ping = guest.startPing(ipOf(stays), { intervalMs: 20 });
    it.lab.host("a").startAgent({ extraArgs: ["--idle-timeout", "off"] });
    await waitForEntries(gone, []);
    expect(await known(stays)).toEqual(entriesOf(stays, "c"));
    expect((await ping.stop()).lost).toEqual([]);
    await first.remove();
    await second.remove();
  });
});
