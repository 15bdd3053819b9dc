// A live migration against real kernels: the target's state before, during and after, and the effect on traffic.
import { beforeAll, expect, test } from "vitest";
import type { MoveView } from "../../schema/rest/index.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { cluster } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

const mac = (n: number) => `52:54:00:00:00:0${n}`;

describeKernel("a live migration", () => {
  const it = cluster({ hosts: 3, underlay: 4 });
  let near: Guest;
  let far: Guest;
  let migrant: Guest;

  const ask = (verb: string, body: object = {}) =>
    it.call<MoveView>("POST", `/v1/vms/migrant/${verb}`, { wait: true, timeoutMs: 10_000, ...body });
  const has = (host: string, vni: number) => it.lab.host(host).interfaces().includes(`nmb${vni}`);
  const wayTo = async (host: string, vni: number, address: string) =>
    (await it.entries(host, vni)).fdb.filter((line) => line.startsWith(address) && line.includes(" self "));
  const leadingTo = (host: string) => [`${mac(2)} dst ${it.lab.host(host).address} self extern_learn permanent`];

  beforeAll(async () => {
    await it.network("blue", 100);
    await it.network("red", 200);
    // On the target, elsewhere, and the one that migrates from a to b.
    near = await it.vm("near", "b", "blue", 100, mac(1), ["10.20.1.1/24", "fd00:20::1/64"]);
    far = await it.vm("far", "c", "blue", 100, mac(3), ["10.20.1.3/24"]);
    migrant = await it.vm("migrant", "a", "blue", 100, mac(2), ["10.20.1.2/24", "fd00:20::2/64"]);
    await it.vm("stays", "a", "blue", 100, mac(4), ["10.20.1.4/24"]);
  });

  test("the target's guests reach the VM on its old host until the commit, and on the new one from then on", async () => {
    for (const guest of [near, far]) expect(await guest.ping("10.20.1.2")).toMatchObject({ received: 1 });
    const pings = [near, far].map((guest) => guest.startPing("10.20.1.2", { intervalMs: 10 }));
    const all = () => Math.min(...pings.map((ping) => ping.received()));
    await waitFor(() => all() > 10, { what: "the pings to run" });
    // The target has the network already, and is sent what to expect there.
    expect(await ask("prepare", { host: "b" })).toMatchObject({ confirmed: 1, of: 1 });
    const prepared = all();
    await waitFor(() => all() > prepared + 20, { what: "the pings to go on while it is prepared" });
    expect(await wayTo("b", 100, mac(2))).toEqual(leadingTo("a"));
    let committed: MoveView | undefined;
    let held: string[][] = [];
    await migrant.moveTo(it.lab.host("b"), {
      during: async () => {
        committed = await ask("commit", { host: "b" });
        held = await Promise.all(["a", "b", "c"].map((host) => wayTo(host, 100, mac(2))));
      },
    });
    const atCommit = all();
    await waitFor(() => all() > atCommit + 50, { what: "the pings to go on after the commit" });
    const results = await Promise.all(pings.map((ping) => ping.stop()));
    expect(committed).toMatchObject({ from: "a", to: "b", confirmed: 3, of: 3, unconfirmed: [] });
    expect(held).toEqual([leadingTo("b"), [], leadingTo("b")]);
    // One gap each, while the guest was on neither host: nothing was lost while it was prepared.
    for (const { lost } of results) {
      const first = lost[0] ?? 0;
      expect(lost).toEqual(lost.map((_, i) => first + i));
    }
    expect(await near.ping("fd00:20::2", { count: 2 })).toMatchObject({ received: 2 });
  });

  test("a network that the target lacks is set up when prepare is answered, resolves, and is removed by an abort", async () => {
    const other = await it.vm("red-1", "a", "red", 200, mac(5), ["10.20.1.5/24"]);
    await it.vm("red-2", "c", "red", 200, mac(6), ["10.20.1.6/24"]);
    const prepare = () =>
      it.call<MoveView>("POST", "/v1/vms/red-1/prepare", { host: "b", wait: true, timeoutMs: 10_000 });
    expect(has("b", 200)).toBe(false);
    expect(await prepare()).toMatchObject({ confirmed: 1, of: 1 });
    expect(has("b", 200)).toBe(true);
    // A guest that is there already (the hypervisor has attached it, and it asks) is answered.
    const early = await it.lab.host("b").addGuest({ name: "early", vni: 200, mac: mac(7), ips: ["10.20.1.7/24"] });
    const asking = early.startPing("10.20.1.6", { intervalMs: 100 });
    await waitFor(async () => (await wayTo("b", 200, mac(6))).length === 1, { what: "host b to resolve in red" });
    await asking.stop();
    await early.remove();
    await it.call("POST", "/v1/vms/red-1/abort", { wait: true });
    expect(has("b", 200)).toBe(false);
    // Once more, now for good.
    await prepare();
    let committed: MoveView | undefined;
    await other.moveTo(it.lab.host("b"), {
      during: async () => {
        committed = await it.call<MoveView>("POST", "/v1/vms/red-1/commit", { wait: true });
      },
    });
    expect(committed).toMatchObject({ confirmed: 2, of: 2 });
    expect(has("a", 200)).toBe(false);
    expect(await other.ping("10.20.1.6", { count: 2 })).toMatchObject({ received: 2 });
  });
});
