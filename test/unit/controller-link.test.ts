// The agent's session with a controller that says what the test wants.
import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { pino } from "pino";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { FrameAssembly } from "../../node-agent/controller-link/frame-assembly.ts";
import { ControllerLink, type LinkHandlers } from "../../node-agent/controller-link/link.ts";
import { afterEnd } from "../../node-agent/controller-link/link-state.ts";
import { parseRevision, parseVni } from "../../schema/address/index.ts";
import { closeCodes, FrameError } from "../../schema/agent/index.ts";
import { waitUntil } from "../../testkit/lab/wait.ts";

const asOf = parseRevision(7);
const network = (name: string, vni: number) => ({ name, vni: parseVni(vni), mtu: 1450, revision: asOf });
const blue = network("blue", 100);
const red = network("red", 200);
const firstHalf = JSON.stringify({ type: "snapshot", asOf, networks: [blue], answers: [], end: false });
const secondHalf = JSON.stringify({ type: "snapshot", asOf, networks: [red], answers: [], end: true });

const framesInARead = 8;

async function startLink(log = pino({ level: "silent" })) {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  const seen: string[] = [];
  /** At each heartbeat, how many turns of the event loop there were before. */
  const turns: number[] = [];
  let turn = 0;
  const handlers: LinkHandlers = {
    hello: () => ({ protocol: { min: 1, max: 1 }, version: "0.1.0", host: "a", vtepPort: 4789 }),
    interest: () => [],
    onWelcome: () => seen.push("welcome"),
    onSnapshot: ({ networks }) => seen.push(`snapshot of ${networks.map(({ name }) => name)}`),
    onAnswers: () => seen.push("answers"),
    onChanges: () => seen.push("changes"),
    onBase: () => seen.push("base"),
    onDelta: () => seen.push("delta"),
    onHosts: () => seen.push("hosts"),
    onSenders: () => seen.push("senders"),
    onHeartbeat: () => {
      seen.push("heartbeat");
      if (turns.push(turn) === 1) countTurns();
    },
    onTrust: () => seen.push("trust"),
    onClaimed: () => seen.push("claimed"),
    onProbe: () => seen.push("probe"),
    onGroups: () => seen.push("groups"),
    onRevoked: () => seen.push("revoked"),
    onClosed: (reason) => seen.push(`closed, ${link.status.kind}: ${reason}`),
  };
  const countTurns = () => {
    turn += 1;
    if (turns.length < framesInARead) setImmediate(countTurns);
  };
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const link: ControllerLink = new ControllerLink(url, () => undefined, handlers, log);
  const accepted = once(server, "connection") as Promise<[WebSocket]>;
  link.start();
  const [peer] = await accepted;
  onTestFinished(() => {
    link.stop();
    for (const client of server.clients) client.terminate();
    server.close();
  });
  const reach = (kind: string) =>
    waitUntil(
      () => link.status,
      (status) => status.kind === kind,
      { what: kind },
    );
  const reported = (count: number) =>
    waitUntil(
      () => seen,
      ({ length }) => length >= count,
      { what: `${count} events` },
    );
  return { link, peer, server, seen, turns, reach, reported };
}

describe("the session with the controller", () => {
  test("is live, and sends, from the last chunk of its snapshot until it is closed", async () => {
    const { link, peer, seen, reach, reported } = await startLink();
    expect(link.status).toEqual({ kind: "connecting" });
    peer.send(firstHalf);
    peer.send(JSON.stringify({ type: "heartbeat", asOf }));
    await reported(1);
    expect([link.isLive, link.send({ type: "applied", revision: asOf, problems: [] })]).toEqual([false, false]);
    peer.send(secondHalf);
    await reach("connected");
    expect([link.isLive, link.send({ type: "applied", revision: asOf, problems: [] })]).toEqual([true, true]);
    peer.close(4000, "enough");
    await reported(3);
    expect(link.isLive).toBe(false);
    expect(seen).toEqual(["heartbeat", "snapshot of blue,red", "closed, waiting: enough (4000)"]);
  });

  test("takes in each frame of one read in a turn of its own, so that misses are read between them", async () => {
    const { peer, turns, reach, reported } = await startLink();
    peer.send(firstHalf);
    peer.send(secondHalf);
    await reach("connected");
    const frame = JSON.stringify({ type: "heartbeat", asOf });
    const { _socket: socket } = peer as unknown as { readonly _socket: Socket };
    socket.cork();
    for (let n = 0; n < framesInARead; n++) peer.send(frame);
    socket.uncork();
    await reported(1 + framesInARead);
    expect(new Set(turns).size).toBe(framesInARead);
  });

  test("says while it connects again why the last one ended", async () => {
    const { link, peer, server } = await startLink();
    const again = once(server, "connection");
    peer.send("{");
    await again;
    expect(link.status).toMatchObject({
      kind: "connecting",
      reason: expect.stringContaining("the controller sent an invalid frame"),
    });
  });

  test("takes in nothing after it was stopped, and does not come back", async () => {
    const { link, peer, seen, reach } = await startLink();
    peer.send(firstHalf);
    peer.send(secondHalf);
    await reach("connected");
    const closed = once(peer, "close");
    link.stop();
    link.stop();
    peer.send(JSON.stringify({ type: "heartbeat", asOf }));
    expect((await closed)[0]).toBe(1001);
    expect(link.send({ type: "applied", revision: asOf, problems: [] })).toBe(false);
    expect(seen).toEqual(["snapshot of blue,red"]);
  });
});

test("pauses grow from failure to failure, and start anew after a live session", () => {
  const failed = { kind: "connecting", failures: 2 } as Parameters<typeof afterEnd>[0];
  expect(afterEnd(failed, 0, 0.5)).toEqual({ failures: 3, pauseMs: 500 });
  const live = { kind: "live" } as Parameters<typeof afterEnd>[0];
  expect(afterEnd(live, 30_000, 0.5)).toEqual({ failures: 1, pauseMs: 30_125 });
});

describe("an agent that is refused until an operator acts", () => {
  const refusals = [
    ["its certificate was revoked", closeCodes.certificateEnded],
    ["its name is taken", closeCodes.hostTaken],
    ["its VTEP is taken, or it is not registered", closeCodes.hostUnknown],
    ["its host was deleted", closeCodes.hostDeleted],
  ] as const;

  test.each(refusals)("waits longer and longer because %s, and logs that once", async (why, code) => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    onTestFinished(() => void vi.useRealTimers());
    const lines: { level: number; msg: string }[] = [];
    const log = pino({ level: "debug" }, { write: (line) => lines.push(JSON.parse(line)) });
    const { link, peer, server, seen } = await startLink(log);
    const warnings = () => lines.filter(({ level }) => level >= 40).length;
    /** Refuses, and lets the pause pass. @returns what the agent says in that time, and its next connection */
    async function refuse(socket: WebSocket, reason: string) {
      socket.close(code, reason);
      while (link.status.kind !== "waiting") await new Promise((resolve) => setImmediate(resolve));
      const { status } = link;
      const pauseMs = status.retryAtMs - performance.now();
      const again = once(server, "connection") as Promise<[WebSocket]>;
      await vi.advanceTimersByTimeAsync(pauseMs + 1);
      return { status, pauseMs, next: (await again)[0] };
    }
    let socket = peer;
    for (let attempt = 0; attempt < 12; attempt++) {
      const { status, pauseMs, next } = await refuse(socket, why);
      const longest = Math.min(300_000, 1_000 * 2 ** attempt);
      expect(pauseMs).toBeGreaterThanOrEqual(longest / 2 - 1);
      expect(pauseMs).toBeLessThanOrEqual(longest);
      expect(status).toMatchObject({ isRefused: true, reason: `${why} (${code})` });
      expect(warnings()).toBe(1);
      socket = next;
    }
    socket = (await refuse(socket, "another reason")).next;
    expect(warnings()).toBe(2);
    socket.send(firstHalf);
    socket.send(secondHalf);
    while (link.status.kind !== "connected") await new Promise((resolve) => setImmediate(resolve));
    expect((await refuse(socket, why)).pauseMs).toBeLessThanOrEqual(1_000);
    expect(warnings()).toBe(3);
    expect(seen.filter((each) => each.startsWith("closed"))).toHaveLength(14);
  });
});

test("the position in the log may not go back within a session", () => {
  const frames = new FrameAssembly();
  expect(frames.add(firstHalf)).toBeUndefined();
  const earlier = JSON.stringify({ type: "heartbeat", asOf: 6 });
  expect(() => frames.add(earlier)).toThrow(new FrameError("asOf went back from 7 to 6"));
  expect(new FrameAssembly().add(earlier)).toEqual({ type: "heartbeat", asOf: 6 });
});
