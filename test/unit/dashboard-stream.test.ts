// The page's event stream, with sockets and a controller of the test's.
import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { EventStream, type EventStreamDeps } from "../../dashboard/live/event-stream.ts";
import { eventCloseCodes } from "../../schema/plain/index.ts";

const login = { token: "secret", epoch: "e", onRefused: () => expect.unreachable() };
const change = (revision: number, index: number) => JSON.stringify({ type: "nearmiss.vm.updated", revision, index });

describe("the page's event stream", () => {
  let answers: boolean;
  let opened: { readonly path: string; readonly handlers: Parameters<EventStreamDeps["open"]>[2] }[];
  let stream: EventStream;

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"], now: 0 });
    onTestFinished(() => void vi.useRealTimers());
    answers = true;
    opened = [];
    stream = new EventStream({
      open: (path, _protocols, handlers) => {
        opened.push({ path, handlers });
        return { close: () => {} };
      },
      get: async <Body>() => {
        if (!answers) throw new Error("the controller does not answer");
        return { revision: 7, epoch: "f" } as Body;
      },
      nowMs: Date.now,
      random: () => 0.5,
    });
    onTestFinished(() => stream.stop());
  });

  /** The last one that was opened. */
  const socket = () => opened.at(-1)?.handlers ?? expect.unreachable("no socket was opened");

  test("goes on after what it has seen, and shows no event twice", async () => {
    const seen: string[] = [];
    const resumed = vi.fn();
    stream.listen({
      onEvents: (events) => seen.push(...events.map((event) => JSON.stringify(event))),
      onResumed: resumed,
    });
    stream.start(login);
    await vi.advanceTimersByTimeAsync(0);
    socket().onOpen();
    socket().onMessage(change(8, 0));
    socket().onClose(1006, "");
    await vi.advanceTimersByTimeAsync(250);
    expect(opened.map(({ path }) => path)).toEqual(["/v1/events?since=e/7", "/v1/events?since=e/8.0"]);
    socket().onOpen();
    socket().onMessage(change(8, 0));
    socket().onMessage(change(8, 1));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(seen).toEqual([change(8, 0), change(8, 1)]);
    expect([stream.followed.value, resumed.mock.calls.length]).toEqual([8, 1]);
  });

  test("waits longer from failure to failure, up to 8 s, and says since when and until when", async () => {
    answers = false;
    stream.start(login);
    const waits: number[] = [];
    for (let n = 0; n < 7; n += 1) {
      await vi.advanceTimersByTimeAsync(0);
      const { value } = stream.link;
      if (value.kind !== "lost") return expect.unreachable(`${value.kind} after ${n} failures`);
      expect(value.sinceMs).toBe(0);
      waits.push(value.nextMs - Date.now());
      await vi.advanceTimersByTimeAsync(value.nextMs - Date.now());
    }
    expect(waits).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 8_000]);
  });

  test("begins anew, in the epoch that there is now, where the log does not reach back", async () => {
    stream.start(login);
    await vi.advanceTimersByTimeAsync(0);
    socket().onOpen();
    socket().onClose(eventCloseCodes.compacted, "");
    await vi.advanceTimersByTimeAsync(0);
    expect(opened.map(({ path }) => path)).toEqual(["/v1/events?since=e/7", "/v1/events?since=f/7"]);
    expect(stream.restarts.value).toBe(1);
  });

  test("does not come back after it was stopped", async () => {
    stream.start(login);
    await vi.advanceTimersByTimeAsync(0);
    stream.stop();
    socket().onClose(1006, "");
    await vi.advanceTimersByTimeAsync(60_000);
    expect(opened).toHaveLength(1);
  });
});
