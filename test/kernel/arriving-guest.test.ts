// The guest of a live migration between its arrival on the target and the commit: its own frames are no finding, and with --anti-spoof it is
// guarded from the moment in which the migration is prepared, so that the commit has no rules to load.
import { beforeAll, expect, test } from "vitest";
import type { OperationalCloudEvent } from "../../schema/events/index.ts";
import type { ConditionView, MoveView } from "../../schema/rest/index.ts";
import { arp, broadcastMac, ethernet, etherTypes, rarpAnnouncement, udpPacket } from "../../testkit/lab/frames.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import type { Host } from "../../testkit/lab/host.ts";
import { openPacketSocket } from "../../testkit/lab/packets.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { type Cluster, cluster, statusOf } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";
import { Liar } from "../support/liar.ts";

const mac = (n: number): string => `52:54:00:00:00:0${n}`;
const payload = Buffer.from("has arrived");
const ownMac = mac(2);
const own = "10.20.1.2";
const port = "vnet77";

const ipv4From = (from: string, source: string): Buffer =>
  ethernet({
    to: broadcastMac,
    from,
    type: etherTypes.ipv4,
    payload: udpPacket({ from: source, to: "10.20.1.255", fromPort: 5_000, toPort: 5_000, payload }),
  });
const announced = (senderMac: string, ip: string, operation: "request" | "reply"): Buffer =>
  arp({ operation, senderMac, senderIp: ip, targetMac: senderMac, targetIp: ip }, broadcastMac);

/** What a hypervisor and a guest send when the guest has arrived, but for the first, which no bridge here passes on. */
const rarps = Array.from({ length: 5 }, () => rarpAnnouncement(ownMac));
const announcements = [announced(ownMac, own, "request"), announced(ownMac, own, "reply"), ipv4From(ownMac, own)];

const ask = (it: Cluster, verb: string, body: object = {}) =>
  it.call<MoveView>("POST", `/v1/vms/migrant/${verb}`, { wait: true, timeoutMs: 20_000, ...body });

/** Everything that has been said of guests: events, conditions, and what the agent has counted. */
async function accusations(it: Cluster, host: Host) {
  const { events } = await it.call<{ events: OperationalCloudEvent[] }>("GET", "/v1/operational-events");
  const { conditions } = await it.call<{ conditions: ConditionView[] }>("GET", "/v1/conditions");
  const status = await statusOf(host);
  return {
    events: events.map(({ type, data }) => `${type} ${data.subject}`).filter((each) => !/moved?-|host-/.test(each)),
    conditions: conditions.map(({ kind, subject }) => `${kind} ${subject}`),
    problems: status.problems,
    thefts: status.counters.thefts,
  };
}
const none = { events: [], conditions: [], problems: [], thefts: 0 };

describeKernel("a guest that arrives before the commit", () => {
  const it = cluster({ hosts: 3, underlay: 4 });

  test("is no thief and no stranger, and is reached where it is registered, whether its port is or not", async () => {
    const b = it.lab.host("b");
    await it.network("blue", 100);
    const near = await it.vm("near", "b", "blue", 100, mac(1), ["10.20.1.1/24"]);
    for (const pin of [false, true]) {
      const migrant = await it.vm("migrant", "a", "blue", 100, ownMac, [`${own}/24`], { port, pin });
      expect((await near.ping(own)).received).toBe(1);
      expect(await ask(it, "prepare", { host: "b" })).toMatchObject({ confirmed: 1, of: 1 });
      await migrant.moveTo(b);
      const socket = await openPacketSocket(migrant, "eth0");
      for (const frame of [...rarps, ...announcements]) socket.inject(frame);
      // The entry is put back, or was never taken.
      const towards = async () =>
        (await it.entries("b", 100)).fdb.some((line) => line.startsWith(ownMac) && line.includes(" master "));
      await waitFor(towards, { what: "frames for it to go where it is registered" });
      // An unregistered guest beside it is seen: so it would have been.
      const stranger = await b.addGuest({ name: `stranger${pin}`, vni: 100, mac: mac(9), ips: ["10.20.1.9/24"] });
      const talk = stranger.startPing("10.20.1.1", { intervalMs: 100 });
      const found = await waitFor(
        async () => {
          socket.inject(ipv4From(ownMac, own));
          const now = await accusations(it, b);
          return now.conditions.length > 0 ? now : undefined;
        },
        { what: "the stranger to be noticed", deadlineMs: 40_000 },
      );
      socket.close();
      await talk.stop();
      expect({ ...found, events: [], problems: [] }).toEqual({
        ...none,
        conditions: [`unregistered-guest ${mac(9)}`],
      });
      expect(found.events.filter((each) => each.includes(ownMac))).toEqual([]);
      await stranger.remove();
      expect(await ask(it, "commit")).toMatchObject({ to: "b", unconfirmed: [] });
      expect((await near.ping(own, { count: 2, intervalMs: 100 })).received).toBeGreaterThan(0);
      const { conditions } = await accusations(it, b);
      expect(conditions.filter((each) => each.includes(ownMac))).toEqual([]);
      await migrant.remove();
      await it.call("DELETE", "/v1/vms/migrant");
      await waitFor(async () => (await accusations(it, b)).conditions.length === 0, {
        what: "the stranger to be gone",
      });
    }
  });
});

describeKernel("a guest that arrives on a host with --anti-spoof", () => {
  const it = cluster({ hosts: 3, underlay: 4, agentArgs: ["--anti-spoof"] });
  let b: Host;
  let near: Guest;
  let migrant: Guest;

  beforeAll(async () => {
    b = it.lab.host("b");
    await it.network("blue", 100);
    near = await it.vm("near", "b", "blue", 100, mac(1), ["10.20.1.1/24"]);
    migrant = await it.vm("migrant", "a", "blue", 100, ownMac, [`${own}/24`], { port, pin: true });
  });

  /** Transactions on the host's rules, while `act` runs. */
  async function loads(act: () => Promise<unknown>): Promise<number> {
    const monitor = b.spawn(["nft", "monitor"]);
    let text = "";
    monitor.stdout.on("data", (part: Buffer) => {
      text += part.toString();
    });
    const generations = () => text.match(/^# new generation/gm)?.length ?? 0;
    const mark = () => b.exec(["nft", "add table netdev probe; delete table netdev probe"]);
    // It listens when it shows what is done now.
    const listens = async (): Promise<boolean> => {
      await mark();
      return generations() > 0;
    };
    await waitFor(listens, { what: "the monitor to listen" });
    const before = generations();
    await act();
    const known = generations();
    await mark();
    await waitFor(() => generations() > known, { what: "the monitor to have shown everything" });
    monitor.kill("SIGKILL");
    return generations() - before - 1;
  }

  const listed = async (set: string): Promise<string> => b.exec(["nft", "list", "set", "bridge", "nearmiss", set]);

  test("passes its own frames and no others before the commit, which loads no rules", async () => {
    expect(await loads(() => ask(it, "prepare", { host: "b" }))).toBeGreaterThan(0);
    expect(b.interfaces()).not.toContain(port);
    expect(await listed("guarded")).toContain(`"${port}"`);
    expect(await listed("addresses4")).toContain(own);
    await migrant.moveTo(b);
    const liar = await Liar.on(b, migrant, near);
    for (const frame of rarps) liar.inject(frame);
    expect(await liar.seen(announcements)).toEqual(announcements.map((_, i) => i));
    expect(await accusations(it, b)).toEqual(none);
    const lies = [
      ipv4From(mac(1), own),
      ipv4From(ownMac, "10.20.1.1"),
      announced(ownMac, "10.20.1.9", "reply"),
      rarpAnnouncement(mac(1)),
    ];
    const before = await liar.dropped();
    expect(await liar.seen(lies)).toEqual([]);
    expect(await liar.droppedSince(before)).toEqual({ mac: 1, ipv4: 1, arp: 1, ethertype: 1 });
    let committed: MoveView | undefined;
    const loaded = await loads(async () => {
      committed = await ask(it, "commit");
    });
    expect(committed).toMatchObject({ to: "b", unconfirmed: [] });
    expect(loaded).toBe(0);
    expect(await liar.seen([...announcements, ...lies])).toEqual(announcements.map((_, i) => i));
  });

  test("passes nothing after an abort", async () => {
    const a = it.lab.host("a");
    await it.call("POST", "/v1/vms/migrant/prepare", { host: "a", wait: true });
    await migrant.moveTo(a);
    const beside = await a.addGuest({ name: "beside", vni: 100, mac: mac(8), ips: ["10.20.1.8/24"] });
    const [before, after, from] = await Promise.all([
      openPacketSocket(beside, "eth0"),
      openPacketSocket(beside, "eth0"),
      openPacketSocket(migrant, "eth0"),
    ]);
    const [announcement, , sent] = announcements as [Buffer, Buffer, Buffer];
    from.inject(announcement);
    await waitFor(() => before.frames().some(({ bytes }) => bytes.equals(announcement)), { what: "the announcement" });
    expect(await ask(it, "abort")).toMatchObject({ confirmed: 1, of: 1 });
    after.clear();
    from.inject(sent);
    const offenders = async () => a.exec(["nft", "list", "set", "bridge", "nearmiss", "offenders"]);
    await waitFor(async () => (await offenders()).includes(port), { what: "its frame to be dropped" });
    expect(after.frames().filter(({ bytes }) => bytes.equals(sent))).toEqual([]);
    for (const socket of [before, after, from]) socket.close();
  });
});
