// The AsyncAPI document against the standard, and against the controller's messages.
import { createRequire } from "node:module";
import { Ajv, type ValidateFunction } from "ajv";
import addFormats from "ajv-formats";
import { expect, test } from "vitest";
import { type CloudEvent, changeTypes, findCursor } from "../../schema/events/index.ts";
import { eventCloseCodes } from "../../schema/plain/index.ts";
import { call, populate, startController } from "./harness.ts";

const require = createRequire(import.meta.url);
const standard: object = require("@asyncapi/specs/schemas/3.0.0-without-$id.json");

const makeAjv = (): Ajv => addFormats.default(new Ajv({ strict: false, allErrors: true }));

interface Message {
  readonly payload: object;
}

async function documentOf(controller: Awaited<ReturnType<typeof startController>>) {
  return call(controller, 200, "GET", "/asyncapi.json");
}

/** For each message whether a payload is one, with no field that the document does not know. */
function validators(messages: Record<string, Message>): Map<string, ValidateFunction> {
  return new Map(
    Object.entries(messages).map(([name, { payload }]) => [name, makeAjv().compile(closed(payload) as object)]),
  );
}

/** The schema without additional properties. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== "object" || schema === null) return schema;
  const inner = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
  return inner.type === "object" && inner.properties && !inner.additionalProperties
    ? { ...inner, additionalProperties: false }
    : inner;
}

test("is valid by the schema of AsyncAPI 3, and all its references resolve", async () => {
  const document = await documentOf(await startController());
  const validate = makeAjv().compile(standard);
  validate(document);
  expect(validate.errors).toBeNull();
  expect(validate({ ...document, operations: { sendEvents: { action: "shout" } } })).toBe(false);
  for (const [, pointer] of JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)) {
    const target = pointer?.split("/").reduce((at, key) => at?.[key], document);
    expect([pointer, typeof target]).toEqual([pointer, "object"]);
  }
});

test("documents the stream's path, its query and every close code", async () => {
  const controller = await startController();
  const document = await documentOf(controller);
  const { address, bindings } = document.channels.events;
  expect(address).toBe("/v1/events");
  expect(Object.keys(bindings.ws.query.properties).sort()).toEqual(["host", "network", "since", "type"]);
  for (const code of Object.values(eventCloseCodes)) expect(document.info.description).toContain(`- ${code}: `);
});

test("every message that the controller sends matches exactly one of the document's", async () => {
  const controller = await startController({ stream: { bookmarkMs: 20 } });
  const { messages } = (await documentOf(controller)).channels.events;
  const checks = validators(messages);
  const consumer = controller.events("?since=0");
  // Operational events are sent only to consumers that have read the log.
  await consumer.untilBookmark(0);
  await populate(controller);
  await controller.agent("a").hello();
  await consumer.untilOperational("host-connected");
  await call(controller, 200, "PATCH", "/v1/vms/web-1", { host: "c", labels: { tier: "web" }, description: "x" });
  await call(controller, 200, "PATCH", "/v1/networks/red", { description: "y" });
  await call(controller, 200, "PATCH", "/v1/hosts/c", { labels: { rack: "7" } });
  for (const path of ["vms/web-1", "vms/web-2", "networks/blue", "hosts/a"]) {
    await call(controller, 204, "DELETE", `/v1/${path}`);
  }
  await consumer.untilBookmark(14);
  const kindOf = (event: unknown) => [...checks].filter(([, check]) => check(event)).map(([name]) => name);
  const kindsByType = new Map(
    [...consumer.received, ...consumer.bookmarks, ...consumer.operational].map((event) => [event.type, kindOf(event)]),
  );
  for (const type of changeTypes) expect([type, kindsByType.get(type)]).toEqual([type, [type.split(".")[1]]]);
  expect(kindsByType.get("nearmiss.bookmark")).toEqual(["bookmark"]);
  expect(kindsByType.get("nearmiss.operational.host-connected")).toEqual(["operational"]);
  const [first] = consumer.received;
  expect(kindOf({ ...first, revision: "1" })).toEqual([]);
  expect(kindOf({ ...first, undocumented: true })).toEqual([]);
});

test("ids are positions to resume from", async () => {
  const controller = await startController();
  await populate(controller);
  const consumer = controller.events("?since=0");
  await consumer.untilBookmark(7);
  const positions = consumer.ids.map((id) => findCursor(id));
  expect(positions.every((position) => position !== undefined)).toBe(true);
  const { revision, index } = consumer.received[0] as CloudEvent;
  expect(positions[0]).toEqual({ revision, index });
});
