// Which consumers are disconnected: the hub and its consumers with outlets that accept writes when the test says so.
import { afterEach, expect, test, vi } from "vitest";
import { sseFraming } from "../../controller/events/framing.ts";
import { EventHub, type HubLimits } from "../../controller/events/hub.ts";
import { Lens } from "../../controller/events/lens.ts";
import { OperationalEvents } from "../../controller/events/operational-events.ts";
import type { Outlet } from "../../controller/events/outlet.ts";
import type { Commit, LogPosition } from "../../controller/store/store.ts";
import { Committer } from "../../controller/write/committer.ts";
import { parseRevision, type Revision } from "../../schema/address/index.ts";
import type { LoggedEvent } from "../../schema/events/index.ts";
import { eventCloseCodes } from "../../schema/plain/index.ts";
import { parseHost } from "../../schema/rest/index.ts";
import { by } from "../support/actors.ts";
import { changeSetOf } from "../support/change-set.ts";

/** A log in memory. */
class MemoryLog {
  readonly epoch = "test";
  readonly events: LoggedEvent[] = [];

  async load() {
    return { revision: parseRevision(0), networks: [], hosts: [], vms: [], released: [], receipts: [] };
  }

  async commit(batch: readonly Commit[]): Promise<void> {
    for (const { revision, time, changes } of batch)
      [...changes].forEach((change, index) => {
        this.events.push({ revision, index, time, dataVersion: 2, change });
      });
  }

  async stage() {}

  async unstage() {}

  async confirmHead() {}

  async readReceiptHeads() {
    return [];
  }

  async readEvents(after: LogPosition, upTo: Revision, limit: number): Promise<LoggedEvent[]> {
    const isBehind = ({ revision, index }: LoggedEvent) =>
      revision > after.revision || (revision === after.revision && index > after.index);
    return this.events.filter((event) => isBehind(event) && event.revision <= upTo).slice(0, limit);
  }

  async readReceipt() {
    return undefined;
  }
}

/** Accepts one write when the test says so. */
class HandOutlet implements Outlet {
  code: number | undefined;
  private text = "";
  private waiting: { readonly bytes: Buffer; readonly taken: () => void } | undefined;

  write(bytes: Buffer, taken: () => void): void {
    this.waiting = { bytes, taken };
  }

  end(code: number): void {
    this.code = code;
  }

  onClosed(): void {}

  /** Waits for a write, which then is in progress. */
  async busy(): Promise<void> {
    while (!this.waiting) await new Promise((resolve) => setImmediate(resolve));
  }

  take(): void {
    const { bytes, taken } = this.waiting as NonNullable<typeof this.waiting>;
    this.waiting = undefined;
    this.text += String(bytes);
    taken();
  }

  /** Of changes, without the epoch. */
  get ids(): string[] {
    return [...this.text.matchAll(/^id: test\/(\d+\.\d+)$/gm)].map(([, id]) => id ?? "");
  }
}

const checkMs = 250;

afterEach(() => void vi.useRealTimers());

async function start(limits: Partial<HubLimits>) {
  vi.useFakeTimers({ toFake: ["setInterval"] });
  const store = new MemoryLog();
  const clock = { ms: 0 };
  const refuse = (error: unknown) => expect.unreachable(String(error));
  const committer = await Committer.open({ store, now: () => new Date(0), onFatal: refuse, onCommitted: () => {} });
  const operational = new OperationalEvents(store.epoch);
  const whole = { maxBufferedBytes: 1 << 30, maxWaitMs: 30_000, bookmarkMs: 1 << 30, pageSize: 100, ...limits };
  const hub = new EventHub({ committer, operational, store, limits: whole, nowMs: () => clock.ms });
  const outlet = new HandOutlet();
  const lens = new Lens("all", { networks: [], hosts: [], types: [] });
  hub.serve(outlet, { lens, framing: sseFraming }, undefined, refuse);
  outlet.take();
  const time = "2026-01-01T00:00:00.000Z";
  const occur = () => operational.publish({ kind: "overrun", host: "a", count: 1, first: time, last: time });
  return { committer, outlet, occur, clock, check: () => vi.advanceTimersByTime(checkMs) };
}

let vtep = 0;
/** One revision, of so many changes. */
function put(committer: Committer, changes: number): Promise<unknown> {
  const mutations = Array.from({ length: changes }, (_, n) => {
    vtep += 1;
    const address = `10.${vtep >> 16}.${(vtep >> 8) & 255}.${vtep & 255}`;
    return { kind: "host.put" as const, spec: parseHost(`h-${n}`, { vtep: address }, "operator") };
  });
  return committer.mutateAll(by, changeSetOf(mutations));
}

const idsOf = (revision: number, changes: number) => Array.from({ length: changes }, (_, i) => `${revision}.${i}`);

test("a burst beyond the limit in bytes does not disconnect a consumer that reads", async () => {
  const { committer, outlet, occur, check } = await start({ maxBufferedBytes: 8_000 });
  await put(committer, 40);
  await outlet.busy();
  occur();
  await Promise.all([put(committer, 40), put(committer, 40)]);
  const wanted = [...idsOf(1, 40), ...idsOf(2, 40), ...idsOf(3, 40)];
  while (outlet.ids.length < wanted.length) {
    await outlet.busy();
    check();
    expect(outlet.code).toBeUndefined();
    outlet.take();
  }
  expect(outlet.ids).toEqual(wanted);
});

test("beyond the limit in bytes it is disconnected", async () => {
  const { committer, outlet, check } = await start({ maxBufferedBytes: 8_000 });
  for (let n = 0; n < 16; n++) {
    await put(committer, 2);
    await outlet.busy();
    // Each is delivered in a separate turn.
    await new Promise((resolve) => setImmediate(resolve));
  }
  check();
  expect(outlet.code).toBe(eventCloseCodes.tooSlow);
});

test("events that arrive while it is sent a large revision are not too old because of that", async () => {
  const { committer, outlet, occur, clock, check } = await start({ maxWaitMs: 1_000 });
  await put(committer, 300);
  await outlet.busy();
  occur();
  await put(committer, 1);
  while (outlet.ids.length < 300) {
    clock.ms += 900;
    check();
    outlet.take();
    await outlet.busy();
  }
  check();
  expect(outlet.code).toBeUndefined();
  clock.ms += 1_001;
  check();
  expect(outlet.code).toBe(eventCloseCodes.tooSlow);
});
