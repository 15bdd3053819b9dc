import { describe, expect, test } from "vitest";
import type { WebSocket } from "ws";
import { FairTurns, nextRound } from "../../common/cooperative.ts";
import { Inbox, type Message } from "../../controller/agents/inbox.ts";

function spin(ms: number): void {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
}

interface Client {
  /** Of the CPU, for each frame. */
  readonly costMs: number;
  readonly frames: number;
  /** How long the host must pause before the next frame. */
  readonly pauseMs?: (handled: number) => number;
  readonly paused?: (ms: number) => void;
  readonly onFrame?: () => void;
}

/** @returns what was handled, in order, when all is */
async function handled(clients: Readonly<Record<string, Client>>): Promise<string[]> {
  const turns = new FairTurns();
  const order: string[] = [];
  await Promise.all(
    Object.entries(clients).map(
      ([name, { costMs, frames, pauseMs = () => 0, paused = () => {}, onFrame }]) =>
        new Promise<void>((resolve, reject) => {
          let left = frames;
          const receive = () => {
            onFrame?.();
            spin(costMs);
            order.push(name);
            left -= 1;
            if (left === 0) resolve();
            return undefined;
          };
          const socket = { pause: () => {}, resume: () => {} } as unknown as WebSocket;
          const inbox = new Inbox(socket, {
            turns,
            pauseMs: () => pauseMs(frames - left),
            paused,
            receive,
            failed: reject,
          });
          const message: Message = { data: Buffer.from("{}"), isBinary: false };
          for (let n = 0; n < frames; n++) inbox.add(message);
        }),
    ),
  );
  return order;
}

describe("frames of hosts", () => {
  test("small ones go several in a turn, so that they do not each wait for a large one of another host", async () => {
    const order = await handled({ large: { costMs: 5, frames: 40 }, small: { costMs: 0, frames: 40 } });
    const last = order.lastIndexOf("small");
    expect(order.slice(0, last).filter((name) => name === "large").length).toBeLessThan(10);
  });

  test("large ones go one in a turn", async () => {
    const order = await handled({ one: { costMs: 3, frames: 10 }, two: { costMs: 3, frames: 10 } });
    const first = order.slice(0, 10);
    expect(first.filter((name) => name === "one").length).toBeLessThanOrEqual(6);
    expect(first.filter((name) => name === "two").length).toBeLessThanOrEqual(6);
  });

  test("the allowance counts between frames of one turn", async () => {
    let affordable = 3;
    const pauseMs = () => (affordable-- > 0 ? 0 : 1);
    const counted: number[] = [];
    const refill = setInterval(() => {
      counted.push(affordable);
      affordable = 3;
    }, 5);
    const order = await handled({ poor: { costMs: 0, frames: 12, pauseMs } });
    clearInterval(refill);
    expect(order).toHaveLength(12);
    expect(counted.length).toBeGreaterThan(1);
  });

  test("each pause is reported once, also one that ends a turn of several frames", async () => {
    let affordable = 2;
    const pauses: number[] = [];
    const paused = (ms: number) => {
      pauses.push(ms);
      affordable += 2;
    };
    const pauseMs = (handled: number) => (handled < affordable ? 0 : 7);
    await handled({ poor: { costMs: 0, frames: 5, pauseMs, paused } });
    expect(pauses).toEqual([7, 7]);
  });

  test("of many hosts hold the event loop no longer than their share of a round", async () => {
    let inRound = 0;
    let most = 0;
    let isOver = false;
    const rounds = (async () => {
      while (!isOver) {
        inRound = 0;
        await nextRound();
        most = Math.max(most, inRound);
      }
    })();
    const onFrame = () => {
      inRound += 1;
    };
    const hosts = Array.from({ length: 40 }, (_, n) => [`host ${n}`, { costMs: 0.1, frames: 10, onFrame }] as const);
    await handled(Object.fromEntries(hosts));
    isOver = true;
    await rounds;
    // A millisecond of turns, and half a one that the last may take beyond it.
    expect(most).toBeLessThan(20);
  });
});
