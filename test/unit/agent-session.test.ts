import { EventEmitter } from "node:events";
import { expect, onTestFinished, test, vi } from "vitest";
import type { WebSocket } from "ws";
import { FairTurns } from "../../common/cooperative.ts";
import { HostAllowances } from "../../controller/agents/host-allowance.ts";
import { AgentSession, type SessionHandler } from "../../controller/agents/session.ts";
import { closeCodes } from "../../schema/agent/index.ts";

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
    { kind: "anyone" },
    {
      handler: { closed: () => {} } as Partial<SessionHandler> as SessionHandler,
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
