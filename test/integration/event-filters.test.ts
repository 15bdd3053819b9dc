// Filters, bookmarks and positions of the event stream, over real WebSockets.
import { describe, expect, test } from "vitest";
import { eventCloseCodes } from "../../schema/plain/index.ts";
import { type Controller, call, populate, problemType, startController, startSecured, vm } from "./harness.ts";

/** Each consumer soon receives a bookmark, whatever passes its filter. */
const marked = { stream: { bookmarkMs: 20 } };
const idsOf = (consumer: ReturnType<Controller["events"]>) => consumer.received.map(({ id }) => id);

describe("filters of the event stream", () => {
  test("replay and live stream pass only matching events, with both sides of a move", async () => {
    const controller = await startController(marked);
    await populate(controller);
    const consumers = {
      hostA: controller.events("?since=0&host=a"),
      red: controller.events("?since=0&network=red"),
      networks: controller.events("?since=0&type=nearmiss.network"),
      movesOrHosts: controller.events("?since=0&type=nearmiss.vm.updated&type=nearmiss.host"),
    };
    for (const consumer of Object.values(consumers)) await consumer.untilBookmark(7);
    await call(controller, 200, "PATCH", "/v1/vms/web-1", { host: "c" });
    await call(controller, 200, "PUT", "/v1/vms/web-2", vm("b", 3, "red"));
    await call(controller, 204, "DELETE", "/v1/vms/web-2");
    await call(controller, 201, "PUT", "/v1/hosts/d", { vtep: "192.0.2.4" });
    for (const consumer of Object.values(consumers)) await consumer.untilBookmark(11);
    expect(idsOf(consumers.hostA)).toEqual(["3.0", "6.0", "8.0"]);
    expect(consumers.hostA.received.at(-1)?.data).toMatchObject({ before: { host: "a" }, after: { host: "c" } });
    expect(idsOf(consumers.red)).toEqual(["2.0", "9.0", "10.0"]);
    expect(idsOf(consumers.networks)).toEqual(["1.0", "2.0"]);
    expect(idsOf(consumers.movesOrHosts)).toEqual(["3.0", "4.0", "5.0", "8.0", "9.0", "11.0"]);
  });

  test.each([
    ["?type=nearmiss.vm.moved", "/type", "nearmiss.vm.moved"],
    ["?type=x", "/type", "nearmiss.vm.deleted"],
    ["?network=a%20b", "/network", ""],
    ["?host=", "/host", ""],
    ["?since=1.x", "/since", ""],
    ["?hots=a", "/hots", "not a known field"],
  ])("%s is refused before the upgrade, with the reason", async (query, pointer, detail) => {
    const controller = await startController();
    await expect(controller.events(query).opened).rejects.toThrow("400");
    const { status, body } = await controller.request("GET", `/v1/events${query}`, undefined, {
      accept: "text/event-stream",
    });
    expect([status, problemType(body)]).toEqual([400, "invalid-input"]);
    expect(body.errors).toContainEqual(expect.objectContaining({ pointer, in: "query" }));
    expect(JSON.stringify(body)).toContain(detail);
  });

  test("a limited token sees its networks only, whatever its filters", async () => {
    const controller = await startSecured(marked);
    await populate(controller.admin);
    const { token } = await controller.issue({ role: "viewer", networks: ["blue"] });
    const blue = controller.as(token).events("?since=0");
    const red = controller.as(token).events("?since=0&network=red");
    await Promise.all([blue.untilBookmark(7), red.untilBookmark(7)]);
    await call(controller.admin, 200, "PUT", "/v1/vms/web-1", vm("a", 3, "red"));
    await call(controller.admin, 200, "PATCH", "/v1/vms/web-2", { host: "c" });
    await Promise.all([blue.untilBookmark(9), red.untilBookmark(9)]);
    expect(idsOf(blue)).toEqual(["1.0", "6.0", "7.0", "8.0", "9.0"]);
    expect(blue.received.find(({ id }) => id === "8.0")).toMatchObject({
      type: "nearmiss.vm.deleted",
      data: { after: null },
    });
    expect(idsOf(red)).toEqual([]);
  });

  test("a limited token's filters apply to what it may see, in the log and live", async () => {
    const controller = await startSecured(marked);
    await populate(controller.admin);
    const { token } = await controller.issue({ role: "viewer", networks: ["blue"] });
    const narrowed = (query: string) => controller.as(token).events(`?since=0&${query}`);
    const consumers = {
      onA: narrowed("host=a"),
      vmsOnA: narrowed("host=a&type=nearmiss.vm"),
      gone: narrowed("type=nearmiss.vm.deleted"),
      hosts: narrowed("type=nearmiss.host"),
      blueOnB: narrowed("network=blue&network=red&host=b"),
    };
    for (const consumer of Object.values(consumers)) await consumer.untilBookmark(7);
    await call(controller.admin, 200, "PATCH", "/v1/vms/web-1", { host: "b" });
    // It leaves the networks of the token, to a host that the filter names.
    await call(controller.admin, 200, "PUT", "/v1/vms/web-1", vm("a", 3, "red"));
    const { revision } = await call(controller.admin, 200, "PATCH", "/v1/vms/web-2", { host: "a" });
    for (const consumer of Object.values(consumers)) await consumer.untilBookmark(revision);
    expect(idsOf(consumers.onA)).toEqual(["6.0", "8.0", "10.0"]);
    expect(idsOf(consumers.vmsOnA)).toEqual(["6.0", "8.0", "10.0"]);
    expect(idsOf(consumers.blueOnB)).toEqual(["7.0", "8.0", "9.0", "10.0"]);
    expect(idsOf(consumers.gone)).toEqual(["9.0"]);
    expect(consumers.gone.received[0]?.data).toMatchObject({ before: { host: "b" }, after: null });
    expect(idsOf(consumers.hosts)).toEqual([]);
    const everything = Object.values(consumers).flatMap(({ received }) => received);
    expect(JSON.stringify(everything)).not.toContain("red");
  });
});

describe("positions of the event stream", () => {
  test("within a revision is a valid start", async () => {
    const controller = await startController();
    await call(controller, 201, "PUT", "/v1/networks/blue", { vni: 1, subnets: ["10.0.0.0/16"] });
    const lines = Array.from({ length: 20 }, (_, i) =>
      JSON.stringify({ kind: "host", name: `h${i}`, vtep: `192.0.2.${i + 1}` }),
    );
    const type = { "content-type": "application/x-ndjson" };
    await controller.request("POST", "/v1/import", lines.join("\n"), type);
    const consumer = controller.events("?since=2.16");
    await consumer.untilBookmark(2);
    expect(idsOf(consumer)).toEqual(["2.17", "2.18", "2.19"]);
  });

  test("of another epoch is closed, of this one accepted", async () => {
    const controller = await startController();
    await populate(controller);
    const { body } = await controller.request("GET", "/v1/export");
    const { epoch, revision } = JSON.parse(String(body).split("\n")[0] ?? "");
    const same = controller.events(`?since=${epoch}/${revision}`);
    await same.untilBookmark(revision);
    const other = await controller.events(`?since=0b8f3f0e-6d0a-4a55-9a0e-3f5f6f0f7c11/${revision}`).closed;
    expect(other.code).toBe(eventCloseCodes.unknownPosition);
    expect(other.reason).toContain("start from GET /v1/export");
  });
});

describe("bookmarks", () => {
  test("state the position of a consumer that gets no events", async () => {
    const controller = await startController({ stream: { bookmarkMs: 20 } });
    await populate(controller);
    const quiet = controller.events("?network=none");
    await quiet.untilBookmark(7);
    await call(controller, 200, "PATCH", "/v1/vms/web-1", { host: "c" });
    await quiet.untilBookmark(8);
    expect(quiet.received).toEqual([]);
    const { revision, ...bookmark } = quiet.bookmarks.at(-1) ?? { revision: 0 };
    expect(bookmark).toMatchObject({ specversion: "1.0", type: "nearmiss.bookmark", id: String(revision) });
  });

  test("follow the replay of the log, after everything that they cover", async () => {
    const controller = await startController({ stream: { pageSize: 2 } });
    await populate(controller);
    const consumer = controller.events("?since=0");
    await consumer.untilBookmark(7);
    expect(consumer.ids).toEqual(["1.0", "2.0", "3.0", "4.0", "5.0", "6.0", "7.0", "7"]);
  });
});
