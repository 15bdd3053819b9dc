// The event stream over real WebSockets: order, replay, and the seam between replay and live.
import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import { eventCloseCodes } from "../../schema/plain/index.ts";
import { type Controller, call, populate, problemType, startController, vm } from "./harness.ts";

const network = (controller: Controller, n: number) =>
  call(controller, n === 0 ? 201 : 200, "PUT", "/v1/networks/blue", {
    vni: 100,
    subnets: ["10.20.1.0/24"],
    mtu: 1400 + n,
  });

describe("the event stream", () => {
  test("sends every change as one CloudEvent with the resource before and after", async () => {
    const controller = await startController();
    const consumer = controller.events("?since=0");
    await populate(controller);
    await call(controller, 200, "PATCH", "/v1/vms/web-1", { host: "c" });
    await call(controller, 204, "DELETE", "/v1/vms/web-1");
    await consumer.untilAll((events) => events.length === 9);
    const moved = consumer.received[7];
    expect(moved).toMatchObject({
      specversion: "1.0",
      id: "8.0",
      type: "nearmiss.vm.updated",
      subject: "vms/web-1",
      datacontenttype: "application/json",
      dataschema: "urn:nearmiss:event:vm:v2",
      revision: 8,
      index: 0,
      data: { before: { host: "a" }, after: { host: "c" } },
    });
    expect(moved?.source).toMatch(/^\/nearmiss\/[0-9a-f-]{36}$/);
    expect(consumer.received.map(({ type }) => type)).toEqual([
      "nearmiss.network.created",
      "nearmiss.network.created",
      "nearmiss.host.created",
      "nearmiss.host.created",
      "nearmiss.host.created",
      "nearmiss.vm.created",
      "nearmiss.vm.created",
      "nearmiss.vm.updated",
      "nearmiss.vm.deleted",
    ]);
  });

  test("without since starts now", async () => {
    const controller = await startController();
    await populate(controller);
    const consumer = controller.events();
    await consumer.untilBookmark(7);
    await call(controller, 201, "PUT", "/v1/vms/new", vm("c", 9));
    await consumer.untilAll((events) => events.length > 0);
    expect(consumer.received.map(({ revision }) => revision)).toEqual([8]);
  });

  test("has no gap and no duplicate between replay and live stream, even while changes are made", async () => {
    // Small pages, so that the replay of each consumer meets commits at many places.
    const controller = await startController({ stream: { pageSize: 3 } });
    const total = 150;
    const consumers: ReturnType<Controller["events"]>[] = [];
    let written = 0;
    const writers = Array.from({ length: 4 }, async (_, writer) => {
      for (let n = 0; written < total; n += 1) {
        written += 1;
        if (n % 4 === 0) consumers.push(controller.events("?since=0"));
        await controller.request("PUT", `/v1/hosts/h-${writer}-${n}`, { vtep: `10.${writer}.${n >> 8}.${n & 255}` });
      }
    });
    await Promise.all(writers);
    const { revision } = await call(controller, 200, "GET", "/readyz");
    await Promise.all(consumers.map((consumer) => consumer.until((event) => event.revision === revision)));
    for (const consumer of consumers) {
      const revisions = consumer.received.map((event) => event.revision);
      expect(revisions).toEqual(Array.from({ length: revision }, (_, i) => i + 1));
    }
    expect(consumers.length).toBeGreaterThan(10);
  });

  test("survives a restart of the controller, with the same source", async () => {
    const first = await startController();
    await populate(first);
    const before = first.events("?since=0");
    await before.untilAll((events) => events.length === 7);
    await first.stop();
    expect((await before.closed).code).toBe(eventCloseCodes.controllerStopping);
    const second = await startController({ db: first.db });
    const after = second.events("?since=0");
    await call(second, 200, "PATCH", "/v1/vms/web-1", { host: "c" });
    await after.untilAll((events) => events.length === 8);
    expect(after.received.slice(0, 7)).toEqual(before.received);
  });

  test("closes for a cursor beyond the log", async () => {
    const controller = await startController();
    const { code, reason } = await controller.events("?since=5").closed;
    expect(code).toBe(eventCloseCodes.unknownPosition);
    expect(reason).toContain("beyond the log, at 0");
  });

  test("refuses an invalid cursor before the upgrade", async () => {
    const controller = await startController();
    await expect(controller.events("?since=-1").opened).rejects.toThrow("400");
    const { body } = await controller.request("GET", "/v1/events?since=x");
    expect(problemType(body)).toBe("invalid-input");
  });

  test("uses the cloudevents.json subprotocol if requested", async () => {
    const controller = await startController();
    const consumer = controller.events("", ["other", "cloudevents.json"]);
    await consumer.opened;
    expect(consumer.protocol).toBe("cloudevents.json");
  });

  test("drops a consumer that answers no ping", async () => {
    const controller = await startController({ stream: { pingMs: 20 } });
    const alive = controller.events();
    await alive.opened;
    const silent = connect(Number(controller.base.split(":")[1]), "127.0.0.1");
    silent.write(
      "GET /v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n",
    );
    silent.resume();
    await once(silent, "close");
    await network(controller, 0);
    await alive.untilAll((events) => events.length === 1);
  });
});
