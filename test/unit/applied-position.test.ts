import { expect, test } from "vitest";
import { TimesOfMisses } from "../../node-agent/misses/times.ts";
import { AppliedPosition } from "../../node-agent/session/applied-position.ts";
import type { AgentFrame } from "../../schema/agent/index.ts";
import { rev } from "../support/addresses.ts";

function progress(networks: { settled: boolean }) {
  const sent: AgentFrame[] = [];
  const times = new TimesOfMisses();
  const self = new AppliedPosition({
    networks: { retry: () => Promise.resolve(), ...networks },
    conditions: { sentences: [] },
    times,
    uplink: { send: (frame) => sent.push(frame) > 0 },
    fence: () => undefined,
  });
  const revisions = () => sent.flatMap((frame) => (frame.type === "applied" ? frame.revision : []));
  return { self, sent, times, revisions };
}

const soon = () => new Promise((resolve) => setImmediate(resolve));

test("a controller that is behind, after a restored backup, never receives a position beyond its log", async () => {
  const networks = { settled: true };
  const { self, revisions } = progress(networks);
  self.begin("one", rev(9));
  self.acknowledge(rev(9), Promise.resolve());
  await soon();
  self.begin("one", rev(5));
  expect(self.position).toMatchObject({ applied: 0 });
  self.acknowledge(rev(5), Promise.resolve());
  await soon();
  expect(revisions()).toEqual([9, 5]);
});

test("work of an ended session acknowledges nothing in the next", async () => {
  const { self, revisions } = progress({ settled: true });
  let finish: () => void = () => {};
  const slow = new Promise<void>((resolve) => {
    finish = resolve;
  });
  self.begin("one", rev(9));
  self.acknowledge(rev(9), slow);
  self.begin("two", rev(3));
  self.acknowledge(rev(3), Promise.resolve());
  finish();
  await soon();
  expect(revisions()).toEqual([3]);
});

test("without a change of store, the applied position survives a reconnect", async () => {
  const { self } = progress({ settled: true });
  self.begin("one", rev(9));
  self.acknowledge(rev(9), Promise.resolve());
  await soon();
  self.begin("one", rev(12));
  expect(self.position).toEqual({ epoch: "one", asOf: 9, applied: 9 });
});

test("a heartbeat does not acknowledge a change that is still being written", async () => {
  const { self, revisions } = progress({ settled: true });
  let written: () => void = () => {};
  const change = new Promise<void>((resolve) => {
    written = resolve;
  });
  self.begin("one", rev(6));
  self.acknowledge(rev(7), change);
  self.acknowledge(rev(7), Promise.resolve());
  await soon();
  expect(revisions()).toEqual([]);
  written();
  await soon();
  expect(revisions()).toEqual([7, 7]);
});

test("durations of misses are sent once, with the next acknowledgement", async () => {
  const { self, sent, times } = progress({ settled: true });
  self.begin("one", rev(5));
  times.add(1.5);
  times.add(0.25);
  self.acknowledge(rev(5), Promise.resolve());
  await soon();
  self.acknowledge(rev(5), Promise.resolve());
  await soon();
  const word = { type: "applied", revision: 5, problems: [] };
  expect(sent).toEqual([{ ...word, misses: { count: 2, sumMs: 1.75, maxMs: 1.5 } }, word]);
});
