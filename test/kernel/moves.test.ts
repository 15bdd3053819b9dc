// The controller's answers on a move against the state of the kernels at that moment.
import { beforeAll, expect, test } from "vitest";
import type { MoveView } from "../../schema/rest/index.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import { waitFor, waitUntil } from "../../testkit/lab/wait.ts";
import { cluster } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

const mac = (n: number) => `52:54:00:00:00:0${n}`;

describeKernel("a move under traffic", () => {
  const it = cluster({ hosts: 4, underlay: 4 });
  let asker: Guest;
  let wanderer: Guest;

  /** The wanderer's entries in a host's kernel: the VTEPs of its tunnel entries. */
  const heldOn = async (host: string) =>
    (await it.entries(host, 100)).fdb.filter((line) => line.startsWith(mac(2)) && line.includes(" self "));
  /** The entries in the kernel of c for partners of the wanderer. */
  const waysBack = async () =>
    (await it.entries("c", 100)).fdb.filter((line) => line.includes(" self ") && !line.startsWith(mac(2))).toSorted();
  const leadingTo = (host: string) => [`${mac(2)} dst ${it.lab.host(host).address} self extern_learn permanent`];
  const move = (host: string, more: object = {}) =>
    it.call<MoveView>("POST", "/v1/vms/wanderer/move", { host, wait: true, timeoutMs: 10_000, ...more });

  /**
   * The last wait of each fails. Moving to the present host changes nothing, and is answered with the confirmations.
   */
  const confirmedByThree = (host: string, timeoutMs: number): Promise<MoveView> =>
    waitUntil(
      () => move(host, { timeoutMs }),
      ({ confirmed }) => confirmed >= 3,
      { what: "three of four hosts to confirm" },
    );

  beforeAll(async () => {
    await it.network("blue", 100);
    asker = await it.vm("asker", "a", "blue", 100, mac(1), ["10.20.1.1/24", "fd00:20::1/64"]);
    wanderer = await it.vm("wanderer", "b", "blue", 100, mac(2), ["10.20.1.2/24", "fd00:20::2/64"]);
    // Every host keeps a guest, so that the network stays there.
    await it.vm("second", "b", "blue", 100, mac(5), ["10.20.1.5/24"]);
    const third = await it.vm("third", "c", "blue", 100, mac(3), ["10.20.1.3/24"]);
    const fourth = await it.vm("fourth", "d", "blue", 100, mac(4), ["10.20.1.4/24"]);
    for (const guest of [asker, third, fourth]) expect(await guest.ping("10.20.1.2")).toMatchObject({ received: 1 });
  });

  test("is answered when the kernel of every holder is up to date, and no packet is lost from then on", async () => {
    const ping = asker.startPing("10.20.1.2", { intervalMs: 10 });
    await waitFor(() => ping.received() > 10, { what: "the ping to run" });
    let held: string[][] = [];
    let back: string[] = [];
    const backBefore = await waysBack();
    let moved: MoveView | undefined;
    await wanderer.moveTo(it.lab.host("c"), {
      during: async () => {
        moved = await move("c");
        // At the moment of the answer: nothing waits for anything here.
        held = await Promise.all(["a", "b", "c", "d"].map(heldOn));
        back = await waysBack();
      },
    });
    const atMove = ping.received();
    await waitFor(() => ping.received() > atMove + 50, { what: "the ping to go on after the move" });
    const { lost, sent } = await ping.stop();
    expect(moved).toMatchObject({ from: "b", to: "c", confirmed: 4, of: 4, unconfirmed: [] });
    expect(held).toEqual([leadingTo("c"), leadingTo("c"), [], leadingTo("c")]);
    // The wanderer's guest has their MACs cached and will not ask: its first frame to each arrives.
    const way = (n: number, host: string) => `${mac(n)} dst ${it.lab.host(host).address} self extern_learn permanent`;
    expect(backBefore).toEqual([]);
    expect(back).toEqual([way(1, "a"), way(4, "d"), way(5, "b")]);
    // One gap: while the guest was on neither host.
    const first = lost[0] ?? 0;
    expect(lost).toEqual(lost.map((_, i) => first + i));
    expect(sent - lost.length).toBeGreaterThan(atMove + 50);
  });

  test("a host whose agent is stopped is reported as unconfirmed, its kernel still points to the old host, and it confirms after its return", async () => {
    const d = it.lab.host("d");
    await d.agent.stop("SIGKILL");
    await waitFor(async () => !(await it.call<{ connected: boolean }>("GET", "/v1/hosts/d")).connected, {
      what: "the controller to notice that host d is gone",
    });
    const moved = await confirmedByThree("b", 500);
    expect(moved).toMatchObject({ confirmed: 3, of: 4 });
    expect(moved.unconfirmed).toEqual([{ host: "d", why: expect.stringContaining("no agent is connected") }]);
    expect(await Promise.all(["a", "b", "c", "d"].map(heldOn))).toEqual([
      leadingTo("b"),
      [],
      leadingTo("b"),
      leadingTo("c"),
    ]);
    const again = move("b", { timeoutMs: 20_000 });
    d.startAgent();
    expect(await again).toMatchObject({ from: "b", to: "b", confirmed: 4, of: 4, unconfirmed: [] });
    expect(await heldOn("d")).toEqual(leadingTo("b"));
    await wanderer.moveTo(it.lab.host("b"));
    expect(await asker.ping("10.20.1.2", { count: 2 })).toMatchObject({ received: 2 });
  });

  test("a host whose agent hangs is reported as unconfirmed, and confirms when it continues", async () => {
    const { agent } = it.lab.host("a");
    agent.signal("SIGSTOP");
    const moved = await confirmedByThree("c", 300);
    expect(moved).toMatchObject({ confirmed: 3, of: 4 });
    expect(moved.unconfirmed).toEqual([
      { host: "a", why: `has not confirmed revision ${moved.revision} within 300 ms` },
    ]);
    expect(await heldOn("a")).toEqual(leadingTo("b"));
    const again = move("c", { timeoutMs: 20_000 });
    agent.signal("SIGCONT");
    expect(await again).toMatchObject({ confirmed: 4, of: 4 });
    expect(await heldOn("a")).toEqual(leadingTo("c"));
    await wanderer.moveTo(it.lab.host("c"));
    expect(await asker.ping("10.20.1.2", { count: 2 })).toMatchObject({ received: 2 });
  });
});
