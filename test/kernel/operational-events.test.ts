// Real events on a host, as reported to operators: on the event stream, in the metrics, and by the agent itself.
import { beforeAll, expect, test } from "vitest";
import { askAgent } from "../../node-agent/status/client.ts";
import type { StatusReport } from "../../node-agent/status/report.ts";
import type { OperationalCloudEvent, OperationalKind } from "../../schema/events/index.ts";
import type { LabWebSocket } from "../../testkit/lab/api.ts";
import { arp, ethernet } from "../../testkit/lab/frames.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import type { Host } from "../../testkit/lab/host.ts";
import { openPacketSocket } from "../../testkit/lab/packets.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { cluster } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

const mac1 = "52:54:00:00:00:01";
const mac2 = "52:54:00:00:00:02";
const mac3 = "52:54:00:00:00:03";

describeKernel("operational events", () => {
  const it = cluster({ hosts: 2, underlay: 4 });
  let a: Host;
  let guest: Guest;
  let stream: LabWebSocket;

  beforeAll(async () => {
    a = it.lab.host("a");
    await it.network("blue", 100);
    guest = await it.vm("web-1", "a", "blue", 100, mac1, ["10.20.1.1/24"]);
    await it.vm("db-1", "b", "blue", 100, mac2, ["10.20.1.2/24"]);
    await it.vm("db-2", "b", "blue", 100, mac3, ["10.20.1.3/24"]);
    for (const to of ["10.20.1.2", "10.20.1.3"]) expect((await guest.ping(to)).received).toBe(1);
    stream = await it.lab.openWebSocket("/v1/events");
  });

  async function streamed(kind: OperationalKind, subject?: string): Promise<OperationalCloudEvent> {
    const fits = (text: string): boolean => {
      const event = JSON.parse(text) as OperationalCloudEvent;
      return event.type === `nearmiss.operational.${kind}` && event.data.subject === subject;
    };
    return JSON.parse(await stream.waitForMessage(fits)) as OperationalCloudEvent;
  }

  async function counted(kind: OperationalKind): Promise<number> {
    const text = await it.call<string>("GET", "/metrics");
    const line = `nearmiss_controller_operational_total{host="a",kind="${kind}"} `;
    return Number(
      text
        .split("\n")
        .find((each) => each.startsWith(line))
        ?.slice(line.length),
    );
  }

  async function status(): Promise<StatusReport> {
    return (await askAgent(a.agentSocket, { type: "status" })).result as StatusReport;
  }

  /** From a guest that sends as fast as this process can. */
  async function scan(count: number, from = 0): Promise<void> {
    const socket = await openPacketSocket(guest, "eth0");
    for (let i = from; i < from + count; i++) {
      const targetIp = `10.${21 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;
      socket.inject(arp({ operation: "request", senderMac: mac1, senderIp: "10.20.1.1", targetIp }));
    }
    socket.close();
  }

  test("an entry of ours that was deleted is restored and reported", async () => {
    await a.exec(["ip", "neigh", "del", "10.20.1.2", "dev", "nmv100"]);
    const event = await streamed("drift-repaired", "entry");
    expect(event).toMatchObject({
      operational: true,
      subject: "hosts/a",
      data: { host: "a", network: "blue", vni: 100, count: 1, detail: "put neighbour 100 10.20.1.2" },
    });
    expect(event).not.toHaveProperty("revision");
    expect(await counted("drift-repaired")).toBe(1);
  });

  test("a guest that steals a remote VM's MAC is reported once, however many frames", async () => {
    const socket = await openPacketSocket(guest, "eth0");
    const steal = () => socket.inject(ethernet({ to: mac1, from: mac2, type: 0x88b5, payload: Buffer.alloc(46) }));
    steal();
    const event = await streamed("theft", mac2);
    expect(event.data).toMatchObject({ host: "a", network: "blue", count: 1 });
    const before = (await status()).counters.thefts;
    await waitFor(
      async () => {
        steal();
        return (await status()).counters.thefts > before + 5;
      },
      { what: "more thefts" },
    );
    socket.close();
    const { counters, reports, reported } = await status();
    expect(reports.find(({ kind }) => kind === "theft")).toMatchObject({ subject: mac2, network: "blue" });
    expect(reported.theft).toBe(counters.thefts);
    expect(stream.messages.filter((text) => text.includes("operational.theft"))).toHaveLength(1);
  });

  test("a guest that scans is reported with its MAC, and the counters agree", async () => {
    const told = () =>
      stream.messages.filter((text) => text.includes("operational.scan") && text.includes(mac1)).length;
    // Not faster than the agent hears: of a flood that it cannot follow only the network is known.
    for (let n = 0; told() === 0 && n < 200; n++) {
      await scan(250, n * 250);
      await status();
    }
    const event = await streamed("scan", mac1);
    expect(event.data).toMatchObject({ host: "a", network: "blue", vni: 100 });
    expect(await counted("scan")).toBeGreaterThan(0);
    // Most of it is neither read nor heard: the guest is ignored.
    await scan(5_000, 50_000);
    const { counters, reported } = await status();
    expect(counters.overBudget).toBeGreaterThan(0);
    expect(reported.scan).toBe(counters.overBudget);
    expect(told()).toBe(1);
  });

  test("an agent that was stopped overruns: reported with the number of lost messages", async () => {
    // Questions of a known scanner are not queued, and cannot overrun.
    await waitFor(async () => (await status()).budgets.left.guests.every(({ left }) => left > 0), {
      what: "the scanner to be listened to again",
    });
    const { pid } = a.agent;
    if (pid === undefined) throw new Error("the agent does not run");
    process.kill(pid, "SIGSTOP");
    try {
      await scan(60_000);
    } finally {
      process.kill(pid, "SIGCONT");
    }
    const { data } = await streamed("overrun", "misses");
    expect(data.network).toBeUndefined();
    expect(data.count).toBeGreaterThan(0);
    const { drops, reported } = await status();
    expect(reported.overrun).toBe(drops.misses + drops.changes);
  });

  test("events while the controller is unreachable are reported when it returns, with their times", async () => {
    await it.lab.controller.stop("SIGKILL");
    await stream.closed;
    await a.agent.waitForLog((line) => line.msg === "no session with the controller");
    const before = Date.now();
    const socket = await openPacketSocket(guest, "eth0");
    socket.inject(ethernet({ to: mac1, from: mac3, type: 0x88b5, payload: Buffer.alloc(46) }));
    await waitFor(async () => (await status()).reports.some(({ subject }) => subject === mac3), { what: "the theft" });
    const after = Date.now();
    socket.close();
    const session = a.agent.nextLog(({ msg }) => msg === "session with the controller");
    await it.lab.startController();
    const sentMs = Number((await session).time);
    const told = await waitFor(
      async () => {
        const { events } = await it.call<{ events: OperationalCloudEvent[] }>("GET", "/v1/operational-events");
        return events.find(({ data }) => data.subject === mac3);
      },
      { what: "the event" },
    );
    expect(told.type).toBe("nearmiss.operational.theft");
    expect(Date.parse(told.time)).toBeGreaterThanOrEqual(before - 50);
    // An agent reports ages: a report that was in flight for longer seems to be later.
    const onTheWayMs = Date.now() - sentMs;
    expect(Date.parse(told.time)).toBeLessThanOrEqual(after + onTheWayMs + 50);
    // Another run starts anew: reports of the old one are not repeated.
    expect(told.data.count).toBe(1);
  });
});
