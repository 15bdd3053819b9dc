// The agent's metrics for Prometheus.
import { randomBytes } from "node:crypto";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { askAgent } from "../../node-agent/status/client.ts";
import type { StatusReport } from "../../node-agent/status/report.ts";
import { ethernet } from "../../testkit/lab/frames.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import type { Host } from "../../testkit/lab/host.ts";
import { openPacketSocket } from "../../testkit/lab/packets.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { cluster } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

const port = 9478;

describeKernel("an agent with --metrics", () => {
  const it = cluster({ hosts: 2, underlay: 4, agentArgs: ["--metrics", String(port)] });
  let a: Host;
  let guest: Guest;

  beforeAll(async () => {
    a = it.lab.host("a");
    await it.network("blue", 100);
    guest = await it.vm("web-1", "a", "blue", 100, "52:54:00:00:00:01", ["10.20.1.1/24"]);
    await it.vm("db-1", "b", "blue", 100, "52:54:00:00:00:02", ["10.20.1.2/24"]);
    expect((await guest.ping("10.20.1.2")).received).toBe(1);
    await guest.ping("10.20.1.99", { deadlineS: 1 });
    for (const msg of ["miss answered", "miss unknown"]) await a.agent.waitForLog((line) => line.msg === msg);
  });

  /** In the host's namespace, where alone it is to be had. */
  async function get(path: string, method = "GET"): Promise<{ status: number; type: string; text: string }> {
    const script = `fetch("http://127.0.0.1:${port}${path}", { method: "${method}" }).then(async (r) =>
      console.log(JSON.stringify({ status: r.status, type: r.headers.get("content-type"), text: await r.text() })))`;
    return JSON.parse(await a.exec([process.execPath, "-e", script]));
  }

  const seriesValue = (text: string, series: string): number =>
    Number(
      text
        .split("\n")
        .find((line) => line.startsWith(`${series} `))
        ?.slice(series.length),
    );

  test("serves the figures of agent status, in Prometheus's text format", async () => {
    const report = async () => (await askAgent(a.agentSocket, { type: "status" })).result as StatusReport;
    const { counters, room, session } = await report();
    const { status, type, text } = await get("/metrics");
    const { session: after } = await report();
    expect([status, type]).toEqual([200, "text/plain; version=0.0.4; charset=utf-8"]);
    const value = (name: string): number => seriesValue(text, `nearmiss_agent_${name}`);
    expect(value('misses_total{handled="asked"}')).toBe(counters.asked);
    expect(counters.asked).toBeGreaterThanOrEqual(2);
    expect(value('told_total{how="reply"}')).toBe(counters.replied);
    expect(value('drops_total{socket="misses"}')).toBe(0);
    expect(value("held")).toBe(room.held);
    expect(value("networks")).toBe(1);
    expect(value("problems")).toBe(0);
    expect(value("connected")).toBe(1);
    expect(value("heard_revision")).toBeGreaterThanOrEqual(session.asOf ?? Number.NaN);
    expect(value("heard_revision")).toBeLessThanOrEqual(after.asOf ?? Number.NaN);
    expect(value('miss_seconds_count{outcome="answered"}')).toBeGreaterThanOrEqual(1);
    expect(value('miss_seconds_count{outcome="unknown"}')).toBe(1);
    expect(text).not.toContain("52:54:00");
  });

  test("counts operational events by kind", async () => {
    await a.exec(["ip", "neigh", "del", "10.20.1.2", "dev", "nmv100"]);
    const series = 'nearmiss_agent_operational_total{kind="drift-repaired"}';
    await waitFor(async () => seriesValue((await get("/metrics")).text, series) === 1, {
      what: "the repair to be counted",
    });
    expect(seriesValue((await get("/metrics")).text, 'nearmiss_agent_repairs_total{cause="entry"}')).toBe(1);
  });

  test("counts floods, which the agent hears of only after its start", async () => {
    const socket = await openPacketSocket(guest, "eth0");
    onTestFinished(() => socket.close());
    const frame = { to: "52:54:00:00:77:77", from: "52:54:00:00:00:01", type: 0x88b5, payload: Buffer.alloc(46) };
    await waitFor(
      async () => {
        for (let sent = 0; sent < 5_000; sent++) {
          const bytes = ethernet(frame);
          Buffer.concat([Buffer.of(0x02), randomBytes(5)]).copy(bytes, 6);
          socket.inject(bytes);
        }
        return seriesValue((await get("/metrics")).text, 'nearmiss_agent_mac_floods_total{source="guest"}') > 0;
      },
      { what: "the flood to be counted" },
    );
  });

  test("serves nothing else, and on no other address", async () => {
    expect(await get("/")).toMatchObject({ status: 404 });
    expect(await get("/metrics", "POST")).toMatchObject({ status: 405 });
    expect(await a.exec(["ss", "-Hltn", `sport = :${port}`])).toMatch(/^LISTEN +\d+ +\d+ +127\.0\.0\.1:9478 /);
  });

  test("works without metrics if the address is taken, and says so", async () => {
    const b = it.lab.host("b");
    await b.agent.stop();
    b.startAgent({ extraArgs: ["--metrics", "192.0.2.77:9478"] });
    const line = await b.agent.waitForLog(({ msg }) => String(msg).startsWith("no metrics"));
    expect(line).toMatchObject({ metrics: "192.0.2.77:9478", reason: expect.stringContaining("EADDRNOTAVAIL") });
    await b.agent.waitForLog(({ msg }) => String(msg).startsWith("session with"));
  });
});
