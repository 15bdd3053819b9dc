// Compaction of the log during reads: no consumer gets a stream with a gap, and one that cannot continue gets
// instructions.
import { join } from "node:path";
import { expect, test } from "vitest";
import type { LogPosition, Store } from "../../controller/store/store.ts";
import type { Revision } from "../../schema/address/index.ts";
import { eventCloseCodes } from "../../schema/plain/index.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { ControllerProcess, temporaryDirectory } from "../support/controller-process.ts";
import { type Controller, call, problemType, startController } from "./harness.ts";

const quick = { maxEvents: 100, maxAgeMs: Number.POSITIVE_INFINITY, everyMs: 10 };

async function putHosts(controller: Controller, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    await controller.request("PUT", "/v1/hosts/a", { vtep: `192.0.2.${(n % 250) + 1}` });
  }
}

/** @returns up to where */
async function untilCompacted(controller: Controller, least: number): Promise<number> {
  let compacted = 0;
  await waitFor(
    async () => {
      const { body } = await controller.request("GET", "/metrics");
      compacted = Number(/^nearmiss_controller_log_compacted (\d+)/m.exec(body)?.[1]);
      return compacted >= least;
    },
    { what: `compaction up to ${least}` },
  );
  return compacted;
}

test("a position that is compacted away closes with 4410, and the export that it names continues without a gap", async () => {
  const controller = await startController({ retention: quick });
  await putHosts(controller, 200);
  const compacted = await untilCompacted(controller, 100);
  const { code, reason } = await controller.events("?since=5").closed;
  expect(code).toBe(eventCloseCodes.compacted);
  expect(reason).toBe(`compacted up to ${compacted}: start from GET /v1/export`);
  const { body } = await controller.request("GET", "/v1/export");
  const head = JSON.parse(String(body).split("\n")[0] ?? "");
  const next = controller.events(`?since=${head.epoch}/${head.revision}`);
  await next.untilBookmark(head.revision);
  await putHosts(controller, 1);
  await next.untilAll((events) => events.length === 1);
  expect(next.received[0]?.revision).toBe(head.revision + 1);
});

test("the oldest position still in the log is accepted, the one before it is not", async () => {
  const controller = await startController({ retention: quick });
  await putHosts(controller, 150);
  const compacted = await untilCompacted(controller, 50);
  const oldest = controller.events(`?since=${compacted}`);
  await oldest.untilBookmark(150);
  expect(oldest.received.map(({ revision }) => revision)).toEqual(
    Array.from({ length: 150 - compacted }, (_, i) => compacted + 1 + i),
  );
  expect((await controller.events(`?since=${compacted - 1}`).closed).code).toBe(eventCloseCodes.compacted);
});

test("Server-Sent Events answer a compacted position with 410", async () => {
  const controller = await startController({ retention: quick });
  await putHosts(controller, 200);
  await untilCompacted(controller, 100);
  const accept = { accept: "text/event-stream", "last-event-id": "7.0" };
  const { status, body } = await controller.request("GET", "/v1/events", undefined, accept);
  expect([status, problemType(body)]).toEqual([410, "log-compacted"]);
  expect(body.detail).toContain("GET /v1/export");
});

test("a consumer that the compaction overtakes during replay is closed, not left with a gap", async () => {
  // The store compacts everything but the newest between the second and the third page.
  let pages = 0;
  const controller = await startController({
    stream: { pageSize: 10 },
    wrap: (store): Store =>
      Object.assign(Object.create(store), {
        readEvents: async (after: LogPosition, upTo: Revision, limit: number) => {
          pages += 1;
          if (pages === 3) await store.compactLog({ before: "9999", maxEvents: 0 }, 1_000);
          return store.readEvents(after, upTo, limit);
        },
      }),
  });
  await putHosts(controller, 100);
  const consumer = controller.events("?since=0");
  expect((await consumer.closed).code).toBe(eventCloseCodes.compacted);
  const got = consumer.received.map(({ revision }) => revision);
  expect(got.length).toBeGreaterThan(0);
  expect(got).toEqual(Array.from({ length: got.length }, (_, i) => i + 1));
});

test("by age, whole revisions are deleted and the newest stays", async () => {
  const controller = await startController({ retention: { maxEvents: 1_000_000, maxAgeMs: 0, everyMs: 10 } });
  await putHosts(controller, 30);
  await untilCompacted(controller, 29);
  const newest = controller.events("?since=29");
  await newest.untilBookmark(30);
  expect(newest.received.map(({ id }) => id)).toEqual(["30.0"]);
  await call(controller, 200, "GET", "/v1/hosts/a");
});

test("the length of the log is known soon after the start, not only at the first check in ten seconds", async () => {
  const first = await startController();
  await putHosts(first, 3);
  await first.stop();
  const second = await startController({ db: first.db });
  const isKnown = async () =>
    /^nearmiss_controller_log_events 3$/m.test((await second.request("GET", "/metrics")).body);
  await waitFor(isKnown, { what: "the length of the log" });
});

test("nothing is deleted for its age where --log-max-age and --audit-max-age are off", async () => {
  const flags = ["--log-max-age", "off", "--audit-max-age", "off", "--log-max-events", "100"];
  const controller = await ControllerProcess.start(join(temporaryDirectory(), "nearmiss.db"), 0, flags);
  for (let n = 1; n <= 150; n += 1) await controller.call("PUT", "/v1/hosts/a", { vtep: `192.0.2.${n}` });
  const compacted = async () => (await controller.metric("nearmiss_controller_log_compacted")) > 0;
  await waitFor(compacted, { what: "compaction" });
  // The last look may have been while the changes were made.
  await expect.poll(() => controller.metric("nearmiss_controller_log_events")).toBe(100);
  const { entries } = await controller.call<{ entries: unknown[] }>("GET", "/v1/audit?limit=200");
  expect(entries.length).toBeGreaterThanOrEqual(150);
});
