// The thread that answers misses of networks in memory: on a real kernel, with real agents and guests.
import { beforeAll, beforeEach, expect, test } from "vitest";
import type { Guest } from "../../testkit/lab/guest.ts";
import { openPacketSocket } from "../../testkit/lab/packets.ts";
import { underlayDevice } from "../../testkit/lab/underlay.ts";
import { waitUntil } from "../../testkit/lab/wait.ts";
import { cluster, statusOf } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

const mac = (n: number) => `52:54:00:00:00:${n.toString(16).padStart(2, "0")}`;

describeKernel("the thread that answers misses of networks in memory", () => {
  const it = cluster({ hosts: 2, underlay: 4 });
  let guest: Guest;
  /** Of the next VM. */
  let n = 10;

  const statusIn = (host: string) => statusOf(it.lab.host(host));
  const answering = async (host: string, vni: number) => {
    const isComplete = ({ networks }: Awaited<ReturnType<typeof statusOf>>) =>
      networks.find((each) => each.vni === vni)?.replica?.state === "complete";
    await waitUntil(
      () => statusIn(host),
      (status) => status.fastPath?.state === "answering" && isComplete(status),
      { what: `the thread of host ${host} to answer` },
    );
  };
  const byThread = async (host: string) => (await statusIn(host)).counters.byThread;
  const boot = (name: string, host: string, number: number, network = "blue", vni = 100) =>
    it.vm(name, host, network, vni, mac(number), [`10.20.1.${number}/24`, `fd00:20::${number.toString(16)}/64`]);

  beforeAll(async () => {
    await it.network("blue", 100, { knowledge: "replicate" });
    await it.network("green", 200, { knowledge: "replicate" });
    guest = await boot("one", "a", 1);
    guest.askOnce();
    await boot("two", "b", 2);
    for (const host of ["a", "b"]) await answering(host, 100);
  });

  beforeEach(() => {
    n += 1;
  });

  /** Registered after the table was complete, and so reached by its delta. */
  const another = async (host = "b", network = "blue", vni = 100) => {
    const other = await boot(`vm-${network}-${n}`, host, n, network, vni);
    other.askOnce();
    const peer = host === "b" ? "a" : "b";
    await waitUntil(
      () => it.call<{ unconfirmed: unknown[] }>("POST", `/v1/vms/vm-${network}-${n}/move`, { host, wait: true }),
      ({ unconfirmed }) => unconfirmed.length === 0,
      { what: `host ${peer} to know the VM` },
    );
    return other;
  };

  test("answers first packets and their way back, IPv4 and IPv6, and the main thread keeps the books", async () => {
    await another();
    const before = [await byThread("a"), await byThread("b")];
    expect(await guest.ping(`10.20.1.${n}`)).toMatchObject({ received: 1 });
    expect(await guest.ping(`fd00:20::${n.toString(16)}`)).toMatchObject({ received: 1 });
    const status = await waitUntil(
      () => statusIn("a"),
      ({ counters }) => counters.byThread === (before[0] ?? 0) + 2,
      { what: "the records of host a" },
    );
    expect(await byThread("b")).toBeGreaterThan(before[1] ?? 0);
    const [six, four] = status.misses;
    expect(four).toMatchObject({ key: `10.20.1.${n}`, outcome: "from replica", mac: mac(n) });
    expect(six).toMatchObject({ key: `fd00:20::${n.toString(16)}`, outcome: "from replica", mac: mac(n) });
    expect(four?.steps).toMatchObject({ programmedMs: expect.any(Number), announcedMs: expect.any(Number) });
    expect(status.counters.asked).toBe(0);
    const { vtep } = four ?? {};
    expect((await it.entries("a", 100)).fdb).toContain(`${mac(n)} dst ${vtep} self extern_learn permanent`);
    // Used, as any other: the controller knows which kernel has it.
    await waitUntil(
      () => it.call<{ holders: { host: string }[] }>("GET", `/v1/vms/vm-blue-${n}/holders`),
      ({ holders }) => holders.some(({ host }) => host === "a"),
      { what: "the controller to know what host a uses" },
    );
    // The kernel's own notifications of what the thread wrote are no reason to compare the network.
    expect(status.repairs).toEqual({});
  });

  test("serves several networks, and leaves those on demand to the main thread", async () => {
    const green = await boot(`green-${n}`, "a", n, "green", 200);
    green.askOnce();
    n += 1;
    await another("b", "green", 200);
    await answering("a", 200);
    const before = await byThread("a");
    expect(await green.ping(`10.20.1.${n}`)).toMatchObject({ received: 1 });
    await waitUntil(
      () => byThread("a"),
      (count) => count === before + 1,
      { what: "the record" },
    );
    await it.call("PATCH", "/v1/networks/green", { knowledge: "on-demand" });
    await waitUntil(
      () => statusIn("a"),
      ({ networks }) => networks.find(({ vni }) => vni === 200)?.replica === undefined,
      { what: "the network to be on demand" },
    );
    const { asked } = (await statusIn("a")).counters;
    expect(await green.ping(`fd00:20::${n.toString(16)}`)).toMatchObject({ received: 1 });
    const { counters } = await statusIn("a");
    expect(counters.asked).toBe(asked + 1);
    expect(counters.byThread).toBe(before + 1);
  });

  test("is kept warm without a frame, a notification or a change of the kernel's tables", async () => {
    const host = it.lab.host("a");
    const monitor = host.spawn(["ip", "monitor", "neigh"]);
    let notified = "";
    monitor.stdout.on("data", (chunk) => {
      notified += chunk;
    });
    const port = await openPacketSocket(host, guest.port);
    try {
      const before = await it.entries("a", 100);
      const { runs } = (await statusIn("a")).fastPath?.heat ?? { runs: 0 };
      port.clear();
      await waitUntil(
        () => statusIn("a"),
        ({ fastPath }) => (fastPath?.heat.runs ?? 0) > runs + 50,
        { what: "some runs on made-up data" },
      );
      expect(await it.entries("a", 100)).toEqual(before);
      // Whatever else this host's kernel does.
      expect(notified).not.toMatch(/203\.0\.113\.|2001:db8:ffff::/);
      expect(port.frames().filter(({ bytes }) => bytes.includes(Buffer.of(203, 0, 113)))).toEqual([]);
      expect((await statusIn("a")).drops).toEqual({ misses: 0, changes: 0 });
    } finally {
      port.close();
      monitor.kill();
    }
  });

  test("the way of questions is kept warm likewise where a network is on demand, and nothing is asked, announced or changed by it", async () => {
    const host = it.lab.host("a");
    const warm = (state: string) =>
      waitUntil(
        () => statusIn("a"),
        ({ questionHeat }) => questionHeat?.state === state,
        { what: `the way of questions to be ${state}` },
      );
    await it.call("PATCH", "/v1/networks/green", { knowledge: "replicate" });
    await warm("off");
    await it.network("grey", 300, { knowledge: "on-demand" });
    const grey = await boot(`grey-${n}`, "a", n, "grey", 300);
    const { questionHeat, counters, drops } = await warm("warm");
    expect(questionHeat?.everyMs).toBe(200);
    const monitor = host.spawn(["ip", "monitor", "neigh", "link"]);
    let notified = "";
    monitor.stdout.on("data", (chunk) => {
      notified += chunk;
    });
    const port = await openPacketSocket(host, grey.port);
    const underlay = await openPacketSocket(host, underlayDevice);
    try {
      const before = await it.entries("a", 300);
      const runs = questionHeat?.runs ?? 0;
      await waitUntil(
        () => statusIn("a"),
        (status) => (status.questionHeat?.runs ?? 0) > runs + 20,
        { what: "some made-up misses" },
      );
      expect(await it.entries("a", 300)).toEqual(before);
      // 192.0.2.2 and 2001:db8::3, asked for by 192.0.2.1 and 2001:db8::1, behind 198.51.100.1.
      expect(notified).not.toMatch(/198\.51\.100\.|2001:db8::/);
      const madeUp = [Buffer.of(198, 51, 100), Buffer.from("made-up"), Buffer.from("20010db800000000", "hex")];
      const frames = [...port.frames(), ...underlay.frames()];
      expect(frames.filter(({ bytes }) => madeUp.some((part) => bytes.includes(part)))).toEqual([]);
      const after = await statusIn("a");
      expect(after.counters).toEqual(counters);
      expect(after.drops).toEqual(drops);
    } finally {
      for (const socket of [port, underlay]) socket.close();
      monitor.kill();
    }
    await it.call("PATCH", "/v1/networks/grey", { knowledge: "replicate" });
    await warm("off");
  });
});
