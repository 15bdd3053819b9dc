// Answers of REST when the store cannot write, and the unchanged state.
import { expect, test } from "vitest";
import { type Store, StoreBrokenError, StoreFullError, StoreUnavailableError } from "../../controller/store/store.ts";
import { call, populate, problemType, startController } from "./harness.ts";

/** A store that fails its commits with `failure` while there is one. */
function faulty(store: Store, state: { failure: Error | undefined }): Store {
  return {
    epoch: store.epoch,
    access: store.access,
    credentials: store.credentials,
    load: (...args) => store.load(...args),
    commit: async (...args) => {
      if (state.failure) throw state.failure;
      await store.commit(...args);
    },
    stage: (changes) => store.stage(changes),
    unstage: (changes) => store.unstage(changes),
    confirmHead: (head) => store.confirmHead(head),
    readReceiptHeads: () => store.readReceiptHeads(),
    readReceipt: (key) => store.readReceipt(key),
    readEvents: (...args) => store.readEvents(...args),
    logExtent: () => store.logExtent(),
    compactLog: (...args) => store.compactLog(...args),
    readEventsBack: (...args) => store.readEventsBack(...args),
    close: () => store.close(),
  };
}

test.each([
  ["a full disk is 507", new StoreFullError("full"), 507, "storage-full"],
  ["a locked database is 503", new StoreUnavailableError("locked"), 503, "unavailable"],
])("%s: nothing changes, and the next attempt may succeed", async (_name, failure, status, type) => {
  const state: { failure: Error | undefined } = { failure: undefined };
  const controller = await startController({ wrap: (store) => faulty(store, state) });
  await populate(controller);
  const events = controller.events("?since=7");
  await events.opened;
  state.failure = failure;
  const refused = await controller.request("PATCH", "/v1/vms/web-1", { host: "c" });
  expect([refused.status, problemType(refused.body)]).toEqual([status, type]);
  expect(await call(controller, 200, "GET", "/v1/vms/web-1")).toMatchObject({ host: "a" });
  state.failure = undefined;
  expect(await call(controller, 200, "PATCH", "/v1/vms/web-1", { host: "c" })).toMatchObject({
    host: "c",
    revision: 8,
  });
  await events.untilAll((received) => received.length > 0);
  expect(events.received.map(({ revision }) => revision)).toEqual([8]);
  expect(controller.fatal).toEqual([]);
});

test("a broken store answers 500 to the caller, and ends the process", async () => {
  const state: { failure: Error | undefined } = { failure: undefined };
  const controller = await startController({ wrap: (store) => faulty(store, state) });
  await populate(controller);
  state.failure = new StoreBrokenError("/db: disk I/O error (SQLITE_IOERR_FSYNC)");
  const failed = await controller.request("PATCH", "/v1/vms/web-1", { host: "c" });
  expect([failed.status, problemType(failed.body)]).toEqual([500, "internal"]);
  expect(JSON.stringify(failed.body)).not.toContain("SQLITE");
  expect(controller.fatal).toEqual([state.failure]);
  await call(controller, 503, "GET", "/readyz");
  await call(controller, 503, "PATCH", "/v1/vms/web-1", { host: "b" });
  expect(await call(controller, 200, "GET", "/v1/vms/web-1")).toMatchObject({ host: "a" });
});

test("acknowledged writes are present when the controller starts again", async () => {
  const first = await startController();
  await populate(first);
  // Since when no agent is connected is not stored.
  const all = async (controller: typeof first) => {
    const lists = await Promise.all(
      ["networks", "hosts", "vms"].map((kind) => call(controller, 200, "GET", `/v1/${kind}`)),
    );
    return JSON.parse(JSON.stringify(lists, (key, value) => (key === "conditions" ? undefined : value)));
  };
  const before = await all(first);
  await first.stop();
  const second = await startController({ db: first.db });
  expect(await all(second)).toEqual(before);
  expect(await call(second, 200, "GET", "/readyz")).toEqual({ ready: true, revision: 7 });
});
