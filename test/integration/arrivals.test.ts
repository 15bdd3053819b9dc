// The guest of a VM that moves to a host has MACs cached: the host receives their entries with the move.
import { expect, test } from "vitest";
import type { Answer, BindingKey } from "../../schema/address/index.ts";
import { type AgentClient, call, populate, startController, vm } from "./harness.ts";

const ip = (n: number) => ({ kind: "ip", vni: 100, ip: `10.20.1.${n}` }) as unknown as BindingKey;
const mac = (n: number) => `52:54:00:00:00:0${n}`;

async function ask(agent: AgentClient, id: number, ...numbers: number[]): Promise<void> {
  agent.send({ type: "resolve", id, questions: numbers.map(ip) });
  await agent.frame("answers", (frame) => frame.id === id);
}

/** The remote ends in the frames of a host, as "MAC host". */
const ways = (answers: readonly Answer[]) =>
  answers.flatMap(({ key, binding }) =>
    key.kind === "mac" && binding && !binding.local ? [`${key.mac} ${binding.host}`] : [],
  );

/**
 * web-1 and web-5 on host a; web-1 talks with web-3 on c. Host a also knows web-2 on b, whose host has never heard of web-1.
 * Nothing runs on d.
 */
async function talking({ seeding }: { readonly seeding: boolean }) {
  const controller = await startController();
  await populate(controller);
  await call(controller, 201, "PUT", "/v1/hosts/d", { vtep: "192.0.2.4" });
  await call(controller, 201, "PUT", "/v1/vms/web-3", vm("c", 3));
  await call(controller, 201, "PUT", "/v1/vms/web-5", vm("a", 5));
  const more = seeding ? { seeding } : {};
  const connect = (host: string) => controller.agent(host).connect([], more);
  const [a, c, d] = await Promise.all([connect("a"), connect("c"), connect("d")]);
  await ask(a, 1, 3, 2);
  await ask(c, 1, 1);
  return { controller, d };
}

test("a host that a VM moves to learns the locations of the VM's partners in the same frame, and no others", async () => {
  const { controller, d } = await talking({ seeding: true });
  const { revision } = await call(controller, 200, "POST", "/v1/vms/web-1/move", { host: "d" });
  const frame = await d.frame("changes", ({ asOf }) => asOf === revision);
  expect(frame.networks).toMatchObject([{ name: "blue" }]);
  expect(ways(frame.answers)).toEqual([`${mac(5)} a`, `${mac(3)} c`]);
});

test("the locations it learned this way are updated when they change", async () => {
  const { controller, d } = await talking({ seeding: true });
  await call(controller, 200, "POST", "/v1/vms/web-1/move", { host: "d" });
  const { revision } = await call(controller, 200, "POST", "/v1/vms/web-3/move", { host: "b" });
  const { answers } = await d.frame("changes", ({ asOf }) => asOf === revision);
  expect(ways(answers)).toEqual([`${mac(3)} b`]);
});

test("a host that is prepared for a VM learns its partners in advance, and later ones with the commit", async () => {
  const { controller, d } = await talking({ seeding: true });
  const prepared = await call(controller, 200, "POST", "/v1/vms/web-1/prepare", { host: "d" });
  const first = await d.frame("changes", ({ asOf }) => asOf === prepared.revision);
  expect(ways(first.answers)).toEqual([`${mac(5)} a`, `${mac(3)} c`]);
  await ask(await controller.agent("b").connect(), 1, 1);
  const committed = await call(controller, 200, "POST", "/v1/vms/web-1/commit", { host: "d" });
  const { answers } = await d.frame("changes", ({ asOf }) => asOf === committed.revision);
  expect(ways(answers)).toEqual([`${mac(2)} b`]);
});

test("two VMs that leave a host together find each other on their new hosts", async () => {
  const { controller, d } = await talking({ seeding: true });
  const headers = { "content-type": "application/x-ndjson" };
  const lines = [
    { kind: "vm", name: "web-1", ...vm("d", 1) },
    { kind: "vm", name: "web-5", ...vm("b", 5) },
  ].map((line) => JSON.stringify(line));
  const response = await fetch(`http://${controller.base}/v1/import`, {
    method: "POST",
    headers,
    body: lines.join("\n"),
  });
  expect(response.status).toBe(200);
  await response.text();
  const { answers } = await d.frame("changes");
  expect(ways(answers)).toEqual([`${mac(5)} b`, `${mac(3)} c`]);
});

test("a host that does not accept seeds is informed of the VM alone", async () => {
  const { controller, d } = await talking({ seeding: false });
  const { revision } = await call(controller, 200, "POST", "/v1/vms/web-1/move", { host: "d" });
  const { answers } = await d.frame("changes", ({ asOf }) => asOf === revision);
  expect(ways(answers)).toEqual([]);
  expect(answers.map(({ binding }) => binding?.local)).toEqual([true, true, true]);
});
