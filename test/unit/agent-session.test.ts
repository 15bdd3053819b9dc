import { EventEmitter } from "node:events";
import { expect, onTestFinished, test, vi } from "vitest";
import type { WebSocket } from "ws";
import { FairTurns, nextRound } from "../../common/cooperative.ts";
import { Declaration } from "../../controller/agents/declaration.ts";
import { HostAllowances } from "../../controller/agents/host-allowance.ts";
import { AgentSession } from "../../controller/agents/session.ts";
import type { SessionHandler } from "../../controller/agents/session-handler.ts";
import { closeCodes, protocolVersions } from "../../schema/agent/index.ts";

/** A peer that reads nothing: no ping is ever flushed. */
class UnreadSocket extends EventEmitter {
  readonly bufferedAmount = 2 ** 20;
  readonly closed: number[] = [];
  ping(): void {}
  pause(): void {}
  resume(): void {}
  terminate(): void {}
  close(code: number): void {
    this.closed.push(code);
  }
}

function unread() {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const socket = new UnreadSocket();
  const session = new AgentSession(
    socket as unknown as WebSocket,
    () => {},
    { kind: "anyone" },
    {
      handler: { closed: () => {} } as Partial<SessionHandler<AgentSession>> as SessionHandler<AgentSession>,
      limits: { heartbeatMs: 60_000, maxBufferedBytes: 2 ** 20, helloMs: 60_000, stalledMs: 30_000 },
      allowances: new HostAllowances(),
      turns: new FairTurns(),
      nowMs: () => 0,
    },
  );
  const wait = session.findWait();
  if (!wait) throw new Error("there is much to read, and no wait");
  let isOver = false;
  void wait.then(() => {
    isOver = true;
  });
  return { socket, session, isOver: () => isOver };
}

test.each([
  ["replaced", (session: AgentSession) => session.close(closeCodes.replaced, "another agent")],
  ["terminated", (session: AgentSession) => session.terminate()],
])("nothing waits for the peer of a session that is %s", async (_how, end) => {
  const { session, socket, isOver } = unread();
  await vi.advanceTimersByTimeAsync(29_999);
  expect(isOver()).toBe(false);
  end(session);
  await vi.advanceTimersByTimeAsync(0);
  expect(isOver()).toBe(true);
  // The time for reading is not measured any more.
  await vi.advanceTimersByTimeAsync(60_000);
  expect(socket.closed).not.toContain(closeCodes.tooSlow);
});

test("a peer that reads nothing of its snapshot is disconnected in the end", async () => {
  const { socket, isOver } = unread();
  await vi.advanceTimersByTimeAsync(30_000);
  expect([isOver(), socket.closed]).toEqual([true, [closeCodes.tooSlow]]);
});

/** A session in sync, whose handler records what it is given; `send` is the agent's. */
async function synced({ onUsed = () => {} } = {}) {
  const socket = new EventEmitter();
  const none = () => {};
  Object.assign(socket, { bufferedAmount: 0, ping: none, pause: none, resume: none, terminate: none, close: none });
  const handled: string[] = [];
  let onSynced = none;
  const inSync = new Promise<void>((resolve) => {
    onSynced = resolve;
  });
  const handler: Partial<SessionHandler<AgentSession>> = {
    hello: async (session, hello) => session.accept(hello, 2),
    declared: (_session, declaration = new Declaration(), { keys }) => {
      handled.push(`interest ${keys.length}`);
      return declaration;
    },
    interest: async (session) => {
      await session.sendSnapshot((async function* () {})());
      onSynced();
    },
    resolve: (_session, { questions }) => {
      handled.push(`resolve ${questions.length}`);
      return 0;
    },
    used: (_session, { keys }) => {
      handled.push(`used ${keys.length}`);
      onUsed();
    },
    release: (_session, { keys }) => void handled.push(`release ${keys.length}`),
    unsubscribe: () => void handled.push("unsubscribe"),
    heard: none,
    closed: none,
    failed: (_session, error) => void handled.push(String(error)),
  };
  const session = new AgentSession(
    socket as unknown as WebSocket,
    none,
    { kind: "anyone" },
    {
      handler: handler as SessionHandler<AgentSession>,
      limits: { heartbeatMs: 60_000, maxBufferedBytes: 2 ** 20, helloMs: 60_000, stalledMs: 30_000 },
      allowances: new HostAllowances(),
      turns: new FairTurns(),
      nowMs: () => 0,
    },
  );
  onTestFinished(() => session.terminate());
  const send = (frame: unknown) => socket.emit("message", Buffer.from(JSON.stringify(frame)), false);
  send({ type: "hello", protocol: protocolVersions, version: "1", host: "a", vtepPort: 4789 });
  send({ type: "interest", keys: [], end: true });
  await inSync;
  handled.length = 0;
  return { session, send, handled };
}

const keys = (count: number) =>
  Array.from({ length: count }, (_, n) => ({ kind: "ip", vni: 100, ip: `10.0.${n >> 8}.${n & 255}` }));

test("frames with many keys or questions are handled in parts, and the next frame after the last part", async () => {
  const { send, handled } = await synced();
  send({ type: "used", keys: keys(150) });
  send({ type: "resolve", id: 1, questions: keys(65) });
  send({ type: "used", keys: keys(64) });
  send({ type: "interest", keys: keys(130), end: false });
  send({ type: "unsubscribe", id: 2, vni: 100 });
  await vi.waitFor(() => expect(handled).toContain("unsubscribe"));
  expect(handled).toEqual([
    ...["used 64", "used 64", "used 22"],
    ...["resolve 64", "resolve 1"],
    "used 64",
    ...["interest 128", "interest 2"],
    "unsubscribe",
  ]);
});

test("nothing more of a frame is handled once its session has ended", async () => {
  const sessions: AgentSession[] = [];
  const { session, send, handled } = await synced({ onUsed: () => sessions[0]?.terminate() });
  sessions.push(session);
  send({ type: "used", keys: keys(150) });
  await vi.waitFor(() => expect(handled).toContain("used 64"));
  // Turns of the rest have had their time.
  for (let n = 0; n < 5; n++) await nextRound();
  expect(handled).toEqual(["used 64"]);
});
