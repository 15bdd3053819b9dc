// Version 2 of the agent channel: records that are the same for every host, and a host that says what it has.
import { describe, expect, test } from "vitest";
import type { Declared } from "../../node-agent/controller-link/link.ts";
import { addressOf, parseIp, parseRevision } from "../../schema/address/index.ts";
import { maxUnknownPerHostAndNetwork } from "../../schema/agent/index.ts";
import { type AgentClient, type Controller, call, populate, startController, vm } from "./harness.ts";
import { ipKey, macKey } from "./keys.ts";

const protocol = { min: 1, max: 2 };
const keyed = (agent: AgentClient) =>
  agent.frames("snapshot").flatMap(({ answers }) => answers.map(({ key, binding }) => [addressOf(key), binding?.host]));

/** Host a has gone at some position, with these keys. */
async function gone(controller: Controller) {
  await populate(controller);
  await call(controller, 201, "PUT", "/v1/vms/web-3", vm("c", 3));
  const agent = await controller.agent("a").connect(
    [2, 3, 4, 5].flatMap((n) => [ipKey(n), macKey(n)]),
    { protocol },
  );
  const { epoch, asOf } = agent.frames("welcome")[0] ?? { epoch: "", asOf: parseRevision(0) };
  agent.close();
  await agent.closed;
  return { epoch, asOf, protocol };
}

const held: readonly Declared[] = [
  { keys: [2, 3].flatMap((n) => [ipKey(n), macKey(n)]), held: "binding" },
  { keys: [4, 5].flatMap((n) => [ipKey(n), macKey(n)]), held: "tombstone" },
];
/** The VM of host a itself, which it has not declared. */
const own = [
  ["52:54:00:00:00:01", "a"],
  ["10.20.1.1", "a"],
  ["fd00:20::1", "a"],
];

describe("a host that returns and says what it has", () => {
  test("is sent its own VMs and what has changed: moved, deleted and created bindings", async () => {
    const controller = await startController();
    const position = await gone(controller);
    await call(controller, 200, "PATCH", "/v1/vms/web-2", { host: "c" });
    await call(controller, 204, "DELETE", "/v1/vms/web-3");
    await call(controller, 201, "PUT", "/v1/vms/web-4", vm("b", 4));
    const agent = await controller.agent("a").declare(held, position);
    expect(agent.frames("snapshot")[0]?.since).toBe(position.asOf);
    expect(keyed(agent)).toEqual([
      ...own,
      ["10.20.1.2", "c"],
      ["52:54:00:00:00:02", "c"],
      ["10.20.1.3", undefined],
      ["52:54:00:00:00:03", undefined],
      ["10.20.1.4", "b"],
      ["52:54:00:00:00:04", "b"],
    ]);
  });

  test("is sent nothing of what it has, and later changes of that", async () => {
    const controller = await startController();
    const position = await gone(controller);
    const agent = await controller.agent("a").declare(held, position);
    expect(keyed(agent)).toEqual(own);
    await call(controller, 200, "PATCH", "/v1/vms/web-2", { host: "c" });
    await call(controller, 201, "PUT", "/v1/vms/web-5", vm("b", 5));
    await agent.heard();
    const pushed = agent.frames("changes").flatMap(({ answers }) => answers.map(({ key }) => addressOf(key)));
    expect(pushed).toEqual(["52:54:00:00:00:02", "10.20.1.2", "52:54:00:00:00:05", "10.20.1.5"]);
  });

  test("is sent an answer to each key of which it has none", async () => {
    const controller = await startController();
    const position = await gone(controller);
    const agent = await controller.agent("a").declare([...held, { keys: [ipKey(2), ipKey(9)] }], position);
    expect(keyed(agent)).toEqual([...own, ["10.20.1.9", undefined]]);
    const asking = await controller.agent("a").declare([{ keys: [ipKey(2), ipKey(9)] }], position);
    expect(keyed(asking)).toEqual([...own, ["10.20.1.2", "b"], ["10.20.1.9", undefined]]);
  });

  test("is sent a changed tunnel end of a host with every binding there", async () => {
    const controller = await startController();
    const position = await gone(controller);
    await call(controller, 200, "PATCH", "/v1/hosts/b", { vtep: "192.0.2.22" });
    const agent = await controller.agent("a").declare(held, position);
    expect(keyed(agent)).toEqual([...own, ["10.20.1.2", "b"], ["52:54:00:00:00:02", "b"]]);
  });

  test.each([
    { what: "with another store", more: { epoch: "another" } },
    { what: "with a position beyond the log", more: { asOf: parseRevision(1_000_000) } },
    { what: "in version 1", more: { protocol: { min: 1, max: 1 } } },
  ])("is sent everything $what", async ({ more }) => {
    const controller = await startController();
    const position = await gone(controller);
    const agent = await controller.agent("a").declare(held, { ...position, ...more });
    expect(agent.frames("snapshot").map(({ since }) => since)).toEqual([undefined]);
    expect(keyed(agent)).toHaveLength(own.length + 8);
  });

  test("is sent everything if it declares more unregistered addresses than are remembered", async () => {
    const controller = await startController();
    const position = await gone(controller);
    const many = Array.from({ length: maxUnknownPerHostAndNetwork + 1 }, (_, n) => ({
      ...ipKey(1),
      ip: parseIp(`fd00:20::1:${n.toString(16)}`),
    }));
    const agent = await controller.agent("a").declare([...held, { keys: many, held: "tombstone" }], position);
    expect(agent.frames("snapshot").some(({ since }) => since !== undefined)).toBe(false);
  });
});

describe("records", () => {
  const recordsIn = ({ texts }: AgentClient, type: string) =>
    texts.flatMap((text) => {
      const frame = JSON.parse(text);
      return frame.type === type ? frame.records.map((record: object) => JSON.stringify(record)) : [];
    });

  test("are the same text for the host of a VM and for every other, and ports go to the VM's host only", async () => {
    const controller = await startController();
    await populate(controller);
    const body = vm("a", 1);
    await call(controller, 200, "PUT", "/v1/vms/web-1", {
      ...body,
      interfaces: body.interfaces.map((each) => ({ ...each, port: "tap1" })),
    });
    const keys = [ipKey(1), macKey(1)];
    const [a, b] = await Promise.all(["a", "b"].map((host) => controller.agent(host).connect(keys, { protocol })));
    if (!a || !b) throw new Error("two agents");
    for (const agent of [a, b]) agent.send({ type: "resolve", id: 1, questions: keys });
    for (const agent of [a, b]) await agent.heard();
    await call(controller, 200, "PATCH", "/v1/vms/web-1", {
      interfaces: body.interfaces.map((each) => ({ ...each, port: "tap2" })),
    });
    for (const agent of [a, b]) await agent.heard();
    for (const type of ["answers", "changes"]) {
      expect(recordsIn(a, type).length).toBeGreaterThan(1);
      for (const record of recordsIn(b, type)) expect(recordsIn(a, type)).toContain(record);
    }
    expect(b.texts.join()).not.toContain("tap");
    const ownAnswers = a.frames("changes").at(-1)?.answers ?? [];
    expect(ownAnswers.map(({ binding }) => [binding?.local, binding?.guestPort])).toEqual(
      ownAnswers.map(() => [true, "tap2"]),
    );
  });
});
