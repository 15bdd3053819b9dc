// Every kind of message of the event stream, by the rules of CloudEvents 1.0.2; and every kind of occurrence on it, marked.
import { Ajv } from "ajv";
import addFormats from "ajv-formats";
import { expect, test } from "vitest";
import {
  conditionKinds,
  findingKinds,
  type HostConditionKind,
  type ReportedFinding,
} from "../../schema/agent/index.ts";
import { changeTypes, operationalKinds, operationalType } from "../../schema/events/index.ts";
import { exampleOf } from "../support/conditions.ts";
import { fleet, follow } from "./fleet.ts";
import { call } from "./harness.ts";

const text = { type: "string", minLength: 1 };

/** Spec §3 (context attributes) and JSON format §2 and §3; optional parts are as nearmiss promises. */
const cloudEvent = {
  type: "object",
  required: ["id", "source", "specversion", "type"],
  properties: {
    id: text,
    source: { ...text, format: "uri-reference" },
    specversion: { const: "1.0" },
    type: text,
    datacontenttype: { const: "application/json" },
    dataschema: { ...text, format: "uri" },
    subject: text,
    time: { ...text, format: "date-time" },
    data: { type: "object" },
  },
  // Extensions: names of lower-case letters and digits; a Boolean, a String, or an Integer of 32 bits.
  propertyNames: { pattern: "^[a-z0-9]{1,20}$" },
  additionalProperties: {
    anyOf: [{ type: "boolean" }, text, { type: "integer", minimum: -(2 ** 31), maximum: 2 ** 31 - 1 }],
  },
  dependentRequired: { data: ["datacontenttype", "dataschema"] },
};
const validate = addFormats.default(new Ajv({ allErrors: true, strict: false })).compile(cloudEvent);

const stateKinds = (Object.keys(conditionKinds) as HostConditionKind[]).filter(
  (kind) => !("observed" in conditionKinds[kind]) && kind !== "wrong-port",
);

test("every change, bookmark and operational event conforms to CloudEvents, and operational events are marked as such", async () => {
  const { controller, a, b, c } = await fleet(
    { stream: { bookmarkMs: 20 }, hostGraceMs: 0 },
    { protocol: { min: 1, max: 2 } },
  );
  const consumer = controller.events("?since=0", ["cloudevents.json"]);
  // Operational events are sent only to consumers that have read the log.
  await consumer.untilBookmark(8);
  const reports = findingKinds.map((kind): ReportedFinding => ({ kind, count: 1, firstAgoMs: 5, lastAgoMs: 1 }));
  a.send({ type: "report", reports });
  // Conditions: of every kind that needs no guest, and their end.
  const add = stateKinds.map((kind) => ({ ...exampleOf(kind, 100), agoMs: 0 }));
  const frame = { type: "conditions", watchedMs: 0, undecided: [], remove: [], end: true } as const;
  a.send({ ...frame, whole: true, add });
  a.send({ ...frame, whole: true, add: [] });
  for (const agent of [a, b, c]) follow(agent);
  await call(controller, 200, "PATCH", "/v1/vms/web-1", { host: "b" });
  await consumer.untilOperational("move-confirmed");
  c.close();
  await consumer.untilOperational("host-lost");
  await controller.agent("c").connect();
  await consumer.untilOperational("host-connected");
  await call(controller, 200, "PATCH", "/v1/networks/red", { description: "y" });
  await call(controller, 200, "PATCH", "/v1/hosts/c", { labels: { rack: "7" } });
  for (const path of ["vms/web-1", "vms/web-2", "vms/web-3", "networks/blue", "hosts/a"]) {
    await call(controller, 204, "DELETE", `/v1/${path}`);
  }
  const { revision } = await call(controller, 200, "GET", "/readyz");
  await consumer.untilBookmark(revision);
  for (const event of [...consumer.received, ...consumer.bookmarks, ...consumer.operational]) {
    expect([event.type, validate(event), validate.errors]).toEqual([event.type, true, null]);
  }
  expect(new Set(consumer.received.map(({ type }) => type))).toEqual(new Set(changeTypes));
  const told = new Set(consumer.operational.map(({ type }) => type));
  // Those of guests and of the controller are in test/property/conditions.test.ts and test/integration/conditions.test.ts.
  const others = [
    "move-unconfirmed",
    "host-refused",
    "vtep-mismatch",
    "down-but-connected",
    "unknown-problem",
    "address-frozen",
    "address-disputed",
  ];
  const guests = ["wrong-port", "address-unregistered", "mac-conflict"];
  const expected = operationalKinds.filter((kind) => ![...others, ...guests].includes(kind)).map(operationalType);
  expect(told).toEqual(new Set(expected));
  for (const event of consumer.operational) {
    expect(event.operational).toBe(true);
    expect(Object.keys(event)).not.toContain("revision");
  }
  expect(validate({ ...consumer.received[0], source: "" })).toBe(false);
  expect(validate({ ...consumer.received[0], notAllowed: 1 })).toBe(false);
});
