// Lists in another order, with their total, and of what has conditions.
import { describe, expect, test } from "vitest";
import { parseRevision } from "../../schema/address/index.ts";
import { exampleOf } from "../support/conditions.ts";
import { call, populate, startController, vm } from "./harness.ts";

const names = (list: readonly { readonly name: string }[]) => list.map(({ name }) => name);

describe("a list", () => {
  test("of hosts has VMs, version and time of each, and is sorted by them, page by page", async () => {
    const controller = await startController();
    await populate(controller);
    await call(controller, 201, "PUT", "/v1/vms/web-3", vm("b", 3));
    const agent = await controller.agent("c").connect();
    agent.send({ type: "applied", revision: parseRevision(3), problems: [] });
    const list = async (query: string) => call(controller, 200, "GET", `/v1/hosts?${query}`);
    await expect.poll(async () => (await list("")).hosts[2].appliedRevision).toBe(3);
    const { hosts } = await list("sort=-vms");
    expect(hosts.map(({ name, vms }: { name: string; vms: number }) => [name, vms])).toEqual([
      ["b", 2],
      ["a", 1],
      ["c", 0],
    ]);
    expect(hosts[2].agentVersion).toMatch(/./);
    expect(hosts[0]).not.toHaveProperty("agentVersion");
    expect(names((await list("sort=-lastSeen")).hosts)).toEqual(["c", "a", "b"]);
    expect(names((await list("sort=agent")).hosts)).toEqual(["c", "a", "b"]);
    expect(names((await list("sort=-name")).hosts)).toEqual(["c", "b", "a"]);
    const first = await list("sort=-vms&limit=2");
    expect([names(first.hosts), first.total]).toEqual([["b", "a"], 3]);
    const second = await list(`sort=-vms&limit=2&cursor=${first.next}`);
    expect([names(second.hosts), second.next]).toEqual([["c"], undefined]);
    // A cursor leads on in its own order only.
    for (const query of [`sort=vms&cursor=${first.next}`, `cursor=${first.next}`, "sort=nothing"])
      await call(controller, 400, "GET", `/v1/hosts?${query}`);
    expect(names((await list("state=connected")).hosts)).toEqual(["c"]);
    expect(names((await list("state=disconnected")).hosts)).toEqual(["a", "b"]);
    await call(controller, 200, "PATCH", "/v1/hosts/a", { down: true });
    expect(names((await list("state=down")).hosts)).toEqual(["a"]);
  });

  test("has its total where that is asked for, with and without filters", async () => {
    const controller = await startController();
    await populate(controller);
    const total = async (path: string) => (await call(controller, 200, "GET", path)).total;
    expect(await total("/v1/vms?total=true&limit=1")).toBe(2);
    expect(await total("/v1/vms?total=true&limit=1&host=b")).toBe(1);
    expect(await total("/v1/vms?total=true&name=web-2")).toBe(1);
    expect(await total("/v1/networks?total=true")).toBe(2);
    expect(await total("/v1/hosts?total=true&network=blue")).toBe(2);
    expect(await total("/v1/vms")).toBeUndefined();
  });

  test("of VMs or hosts with a condition has those, and a disconnected host with VMs is one", async () => {
    const controller = await startController();
    await populate(controller);
    const a = await controller.agent("a").connect([], { protocol: { min: 1, max: 2 } });
    const whole = { type: "conditions", whole: true, watchedMs: 0, undecided: [], remove: [], end: true } as const;
    a.send({ ...whole, add: [{ ...exampleOf("guest-never-seen", 100), agoMs: 0 }] });
    await a.heard();
    const found = async (list: "vms" | "hosts", query: string) =>
      names((await call(controller, 200, "GET", `/v1/${list}?${query}`))[list]);
    expect(await found("vms", "condition=any")).toEqual(["web-1"]);
    expect(await found("vms", "condition=guest-never-seen&sort=-conditions")).toEqual(["web-1"]);
    expect(await found("vms", "sort=-conditions")).toEqual(["web-1", "web-2"]);
    expect(await found("vms", "condition=wrong-port")).toEqual([]);
    expect(await found("vms", "condition=any&host=b")).toEqual([]);
    expect(await found("hosts", "condition=guest-never-seen")).toEqual(["a"]);
    expect(await found("hosts", "condition=host-away")).toEqual(["b"]);
    expect(await found("hosts", "condition=any&sort=-conditions")).toEqual(["a", "b"]);
    a.send({ ...whole, add: [] });
    await a.heard();
    expect(await found("vms", "condition=any")).toEqual([]);
  });
});
