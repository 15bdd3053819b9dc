// Networks that hosts have in memory as a whole: first packets without a question, with and without a controller, and the switch
// between modes while guests communicate.
import { beforeAll, beforeEach, expect, test } from "vitest";
import type { MoveView } from "../../schema/rest/index.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import { waitFor, waitUntil } from "../../testkit/lab/wait.ts";
import { cluster, statusOf } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

const mac = (n: number) => `52:54:00:00:00:${n.toString(16).padStart(2, "0")}`;

describeKernel("a network that hosts have in memory", () => {
  const it = cluster({ hosts: 3, underlay: 4 });
  let one: Guest;
  let two: Guest;
  /** Of the next VM. */
  let n = 10;

  const statusIn = async (host: string) => {
    const status = await statusOf(it.lab.host(host));
    return { ...status, replica: status.networks.find(({ vni }) => vni === 100)?.replica };
  };
  const until = (host: string, state: string | undefined) =>
    waitUntil(
      () => statusIn(host),
      ({ replica }) => replica?.state === state,
      { what: `the network's table on host ${host} to be ${state}` },
    );
  const setKnowledge = async (knowledge: "on-demand" | "replicate" | "prefetch" | "auto") => {
    await it.call("PATCH", "/v1/networks/blue", { knowledge });
    if (knowledge === "auto") await untilChosen("prefetch");
    for (const host of ["a", "b"]) await until(host, knowledge === "on-demand" ? undefined : "complete");
  };
  const untilChosen = (mode: string) =>
    waitUntil(
      () => it.call<{ knowledgeChosen?: { mode: string; addresses?: number } }>("GET", "/v1/networks/blue"),
      ({ knowledgeChosen: chosen }) => chosen?.mode === mode && chosen.addresses !== undefined,
      { what: `the controller to choose ${mode}` },
    );
  const asked = async (host: string) => (await statusIn(host)).counters.asked;
  const register = (name: string, host: string, number: number) =>
    it.call("PUT", `/v1/vms/${name}`, {
      host,
      interfaces: [
        { network: "blue", mac: mac(number), ips: [`10.20.1.${number}`, `fd00:20::${number.toString(16)}`] },
      ],
    });
  const boot = (name: string, host: string, number: number) =>
    it.vm(name, host, "blue", 100, mac(number), [`10.20.1.${number}/24`, `fd00:20::${number.toString(16)}/64`]);

  beforeAll(async () => {
    await it.network("blue", 100, { knowledge: "replicate" });
    one = await boot("one", "a", 1);
    two = await boot("two", "b", 2);
    one.askOnce();
    two.askOnce();
  });

  beforeEach(async () => {
    await setKnowledge("replicate");
    n += 1;
  });

  test("answers first packets and their way back without a question, IPv4 and IPv6", async () => {
    const before = [await asked("a"), await asked("b")];
    expect(await one.ping("10.20.1.2")).toMatchObject({ received: 1 });
    expect(await one.ping("fd00:20::2")).toMatchObject({ received: 1 });
    expect([await asked("a"), await asked("b")]).toEqual(before);
    const { counters } = await statusIn("a");
    expect(counters.here).toBeGreaterThanOrEqual(2);
    const vtep = it.lab.host("b").address;
    expect(await it.entries("a", 100)).toEqual({
      neighbours: [`10.20.1.2 lladdr ${mac(2)} PERMANENT proto 78`, `fd00:20::2 lladdr ${mac(2)} PERMANENT proto 78`],
      fdb: [`${mac(2)} dst ${vtep} self extern_learn permanent`, `${mac(2)} extern_learn master nmb100`],
    });
  });

  test("has nothing in the kernel but what guests use, and the controller knows what that is", async () => {
    await register(`idle-${n}`, "b", n);
    await waitUntil(
      () => statusIn("a"),
      ({ replica }) => (replica?.addresses ?? 0) > 6,
      { what: "the delta" },
    );
    expect((await it.entries("a", 100)).neighbours.filter((line) => line.startsWith(`10.20.1.${n} `))).toEqual([]);
    const used = await waitUntil(
      () => it.call<{ holders: { host: string; addresses: string[] }[] }>("GET", "/v1/vms/two/holders"),
      ({ holders }) => holders.some(({ host, addresses }) => host === "a" && addresses.includes("10.20.1.2")),
      { what: "the controller to know what host a uses" },
    );
    expect(used.holders.map(({ host }) => host).sort()).toEqual(["a", "b"]);
    const idle = await it.call<{ holders: { host: string }[] }>("GET", `/v1/vms/idle-${n}/holders`);
    expect(idle.holders.map(({ host }) => host)).toEqual(["b"]);
  });

  test("an unknown address costs no question, and is answered from its registration on", async () => {
    const before = await asked("a");
    const ip = `10.20.1.${n}`;
    one.askEvery(100, 1_000);
    const ping = one.startPing(ip, { intervalMs: 200 });
    await waitUntil(
      () => statusIn("a"),
      ({ misses }) => misses.some(({ key, outcome }) => key === ip && outcome === "unknown"),
      { what: "the miss" },
    );
    await boot(`late-${n}`, "b", n);
    await waitFor(() => ping.received() > 1, { what: "the guest to be answered" });
    await ping.stop();
    one.askOnce();
    expect((await it.entries("a", 100)).neighbours).toContain(`${ip} lladdr ${mac(n)} PERMANENT proto 78`);
    expect(await asked("a")).toBe(before);
  });

  test("a move under traffic is confirmed by all that have it, in kernel or memory, and loses one gap", async () => {
    const mover = await boot(`mover-${n}`, "b", n);
    const ip = `10.20.1.${n}`;
    await boot(`stays-${n}`, "c", n + 100);
    await until("c", "complete");
    const ping = one.startPing(ip, { intervalMs: 10 });
    await waitFor(() => ping.received() > 10, { what: "the ping to run" });
    let moved: MoveView | undefined;
    let line: string[] = [];
    await mover.moveTo(it.lab.host("c"), {
      during: async () => {
        moved = await it.call<MoveView>("POST", `/v1/vms/mover-${n}/move`, { host: "c", wait: true });
        line = (await it.entries("a", 100)).fdb.filter((each) => each.startsWith(`${mac(n)} dst`));
      },
    });
    const at = ping.received();
    await waitFor(() => ping.received() > at + 50, { what: "the ping to go on after the move" });
    const { lost } = await ping.stop();
    // All three: a has it in the kernel, b and c were and are its hosts.
    expect(moved).toMatchObject({ confirmed: 3, of: 3, unconfirmed: [] });
    expect(line).toEqual([`${mac(n)} dst ${it.lab.host("c").address} self extern_learn permanent`]);
    const first = lost[0] ?? 0;
    expect(lost).toEqual(lost.map((_, i) => first + i));
  });

  test("switches between modes under traffic without a lost packet, and follows changes in both", async () => {
    const third = await boot(`third-${n}`, "b", n);
    const ip = `10.20.1.${n}`;
    expect(await one.ping(ip)).toMatchObject({ received: 1 });
    const pings = [one.startPing(ip, { intervalMs: 10 }), two.startPing("10.20.1.1", { intervalMs: 10 })];
    for (const each of pings) await waitFor(() => each.received() > 20, { what: "the ping to run" });
    const modes = [
      "on-demand",
      "replicate",
      "auto",
      "on-demand",
      "auto",
      "replicate",
      "prefetch",
      "on-demand",
    ] as const;
    for (const knowledge of modes) {
      await setKnowledge(knowledge);
      const at = pings.map((each) => each.received());
      await waitFor(() => pings.every((each, i) => each.received() > (at[i] ?? 0) + 20), {
        what: "the pings to go on",
      });
    }
    for (const each of pings) expect((await each.stop()).lost).toEqual([]);
    // On demand again: the kernel's part of it is interest, and a change reaches it.
    await it.call("PATCH", `/v1/vms/third-${n}`, {
      interfaces: [{ network: "blue", mac: mac(n), ips: [`10.20.1.${n + 100}`] }],
    });
    await waitFor(async () => !(await it.entries("a", 100)).neighbours.some((line) => line.startsWith(`${ip} `)), {
      what: "the former address to leave the kernel of a",
    });
    await third.remove();
  });

  test("new conversations begin without a controller, and what changed since is corrected with the next session", async () => {
    const other = await boot(`other-${n}`, "b", n);
    await waitUntil(
      () => statusIn("a"),
      ({ replica }) => (replica?.addresses ?? 0) > 0,
      { what: "the table" },
    );
    const ip = `10.20.1.${n}`;
    await it.lab.controller.stop("SIGKILL");
    await until("a", "alone");
    await until("b", "alone");
    await one.forgetNeighbours();
    expect(await one.ping(ip)).toMatchObject({ received: 1 });
    expect(await one.ping(`fd00:20::${n.toString(16)}`)).toMatchObject({ received: 1 });
    await it.lab.startController();
    await until("a", "complete");
    await it.call("DELETE", `/v1/vms/other-${n}`);
    await waitFor(async () => !(await it.entries("a", 100)).neighbours.some((line) => line.startsWith(`${ip} `)), {
      what: "the deleted VM to leave the kernel of a",
    });
    await other.remove();
  });

  test("is in the kernel as a whole when it is prefetched: no miss for a registered address", async () => {
    await it.call("PATCH", "/v1/networks/blue", { knowledge: "prefetch" });
    const other = await boot(`pre-${n}`, "b", n);
    const neighbour = `10.20.1.${n} lladdr ${mac(n)} PERMANENT proto 78`;
    await waitFor(async () => (await it.entries("a", 100)).neighbours.includes(neighbour), {
      what: "the new VM in the kernel of a",
    });
    await waitFor(async () => (await it.entries("b", 100)).neighbours.some((line) => line.startsWith("10.20.1.1 ")), {
      what: "the VM of a in the kernel of b",
    });
    const missed = async () => (await statusIn("a")).counters.missed + (await statusIn("b")).counters.missed;
    await one.forgetNeighbours();
    const before = await missed();
    expect(await one.ping(`10.20.1.${n}`)).toMatchObject({ received: 1 });
    expect(await one.ping(`fd00:20::${n.toString(16)}`)).toMatchObject({ received: 1 });
    expect(await missed()).toBe(before);
    await it.call("DELETE", `/v1/vms/pre-${n}`);
    await waitFor(async () => !(await it.entries("a", 100)).neighbours.includes(neighbour), {
      what: "the deleted VM to leave the kernel of a",
    });
    await other.remove();
  });
});
