// An import that is answered when the hosts that it concerns have it.
import { expect, test } from "vitest";
import { parseRevision } from "../../schema/address/index.ts";
import { type AgentClient, type Controller, populate, startController, vm } from "./harness.ts";

/** Of the answer, the summary. */
async function importing(controller: Controller, lines: readonly object[], query: string) {
  const body = lines.map((line) => JSON.stringify(line)).join("\n");
  const headers = { "content-type": "application/x-ndjson" };
  const answer = await fetch(`http://${controller.base}/v1/import${query}`, { method: "POST", headers, body });
  const text = await answer.text();
  expect([answer.status, text]).toEqual([200, expect.anything()]);
  return JSON.parse(text.trim().split("\n").at(-1) ?? "");
}
const line = (name: string, host: string, n: number) => ({ kind: "vm", name, ...vm(host, n) });

test("waits for the hosts of its VMs, before and after, and for none that it does not concern", async () => {
  const controller = await startController();
  await populate(controller);
  const agents: AgentClient[] = [];
  // Host c is not connected.
  for (const host of ["a", "b"]) agents.push(await controller.agent(host).connect());
  const [a, b] = agents;
  let isEarly = true;
  const waiting = importing(controller, [line("web-1", "b", 1), line("web-3", "a", 3)], "?wait=true&timeoutMs=60000");
  const done = waiting.finally(() => {
    isEarly = false;
  });
  await expect.poll(async () => (await controller.request("GET", "/v1/vms/web-3")).status).toBe(200);
  const { revision } = (await controller.request("GET", "/v1/vms/web-3")).body;
  a?.send({ type: "applied", revision: parseRevision(revision), problems: [] });
  await a?.heard();
  expect(isEarly).toBe(true);
  b?.send({ type: "applied", revision: parseRevision(revision), problems: [] });
  expect(await done).toMatchObject({ revision, created: 1, updated: 1, confirmed: 2, of: 2, unconfirmed: [] });
});

test("names those that have not confirmed in time, with the reason, and stays in effect", async () => {
  const controller = await startController();
  await populate(controller);
  const network = { kind: "network", name: "blue", vni: 100, subnets: ["10.20.1.0/24", "fd00:20::/64"], mtu: 1400 };
  // A changed network concerns all hosts in it; a new host nothing.
  const summary = await importing(
    controller,
    [network, { kind: "host", name: "d", vtep: "192.0.2.4" }],
    "?wait=true&timeoutMs=1",
  );
  expect(summary).toMatchObject({ updated: 1, created: 1, confirmed: 0, of: 2 });
  expect(summary.unconfirmed).toEqual(
    ["a", "b"].map((host) => ({ host, why: expect.stringContaining("no agent is connected") })),
  );
  expect((await controller.request("GET", "/v1/networks/blue")).body.mtu).toBe(1400);
});

test("concerns no host where it changes nothing, or is a dry run", async () => {
  const controller = await startController();
  await populate(controller);
  expect(await importing(controller, [line("web-1", "a", 1)], "?wait=true")).toMatchObject({ unchanged: 1, of: 0 });
  const dry = await importing(controller, [line("web-1", "c", 1)], "?wait=true&dryRun=true");
  expect(dry).toMatchObject({ updated: 1, dryRun: true });
  expect(dry).not.toHaveProperty("of");
  expect(await importing(controller, [line("web-1", "c", 1)], "")).not.toHaveProperty("of");
});

test("of thousands of VMs waits for each host once", async () => {
  const controller = await startController();
  await populate(controller);
  const many = (host: string) =>
    Array.from({ length: 2_500 }, (_, n) => ({
      kind: "vm",
      name: `n-${n}`,
      host,
      interfaces: [{ network: "blue", ips: [] }],
    }));
  expect(await importing(controller, many("c"), "?wait=true&timeoutMs=1")).toMatchObject({ created: 2_500, of: 1 });
  // All of them are rewritten: their former host, their new one, and others in the network.
  expect(await importing(controller, many("a"), "?wait=true&timeoutMs=1")).toMatchObject({ updated: 2_500, of: 3 });
});
