// Multicast groups of hosts: what agents report, what the other hosts are sent, and what operators see.
import { describe, expect, test } from "vitest";
import { parseGroup } from "../../schema/address/index.ts";
import type { GroupList } from "../../schema/rest/index.ts";
import { vni } from "../support/addresses.ts";
import { type Controller, call, populate, startController } from "./harness.ts";

const blue = vni(100);
const path = "/v1/networks/blue";
const protocol = { min: 1, max: 2 };
const group = parseGroup("239.1.2.3");
const other = parseGroup("ff05::23");
const report = (fields: { whole?: boolean; joined?: string[]; left?: string[] }) =>
  ({
    type: "memberships",
    vni: blue,
    whole: false,
    ...fields,
    joined: (fields.joined ?? []).map(parseGroup),
    left: (fields.left ?? []).map(parseGroup),
  }) as const;

async function copied(): Promise<Controller> {
  const controller = await startController();
  await populate(controller);
  await call(controller, 200, "PATCH", path, { broadcast: "replicate" });
  return controller;
}

const member = (controller: Controller, host: string) =>
  controller.agent(host).connect([], { protocol, broadcasts: true, groups: true });
const listed = async (controller: Controller): Promise<GroupList> =>
  (await controller.request("GET", `${path}/groups`)).body as GroupList;

describe("multicast groups of hosts", () => {
  test("are sent to the other hosts of the network, first all, then what changes", async () => {
    const controller = await copied();
    const [a, b] = [await member(controller, "a"), await member(controller, "b")];
    expect(a.frames("welcome")[0]).toMatchObject({ groups: true });
    b.send(report({ whole: true, joined: [group, other] }));
    const first = await a.frame("groups", ({ hosts }) => hosts.some(({ host, whole }) => host === "b" && whole));
    expect(first.hosts).toEqual([{ host: "b", whole: true, joined: [group, other], left: [] }]);
    b.send(report({ left: [group] }));
    const next = await a.frame("groups", ({ hosts }) => hosts.some(({ left }) => left.length > 0));
    expect(next.hosts).toEqual([{ host: "b", whole: false, joined: [], left: [group] }]);
    await b.heard();
    expect(b.frames("groups").flatMap(({ hosts }) => hosts.map(({ host }) => host))).not.toContain("b");
    expect(await listed(controller)).toEqual({ network: "blue", total: 1, items: [{ group: other, hosts: ["b"] }] });
  });

  test("of a host without a session stay, and a new session of another host is sent them", async () => {
    const controller = await copied();
    const b = await member(controller, "b");
    b.send(report({ whole: true, joined: [group] }));
    await b.heard();
    await b.close();
    const a = await member(controller, "a");
    const frame = await a.frame("groups", ({ hosts }) => hosts.some(({ host }) => host === "b"));
    expect(frame.hosts).toContainEqual({ host: "b", whole: true, joined: [group], left: [] });
  });

  test("of a host that has not said all yet are not whole", async () => {
    const controller = await copied();
    const b = await member(controller, "b");
    b.send(report({ joined: [group] }));
    await b.heard();
    const a = await member(controller, "a");
    const frame = await a.frame("groups", ({ hosts }) => hosts.some(({ host }) => host === "b"));
    expect(frame.hosts).toContainEqual({ host: "b", whole: false, joined: [group], left: [] });
  });

  test("are none where the agent does not know groups, and it is sent none", async () => {
    const controller = await copied();
    const a = await member(controller, "a");
    const b = await member(controller, "b");
    b.send(report({ whole: true, joined: [group] }));
    await b.heard();
    await b.close();
    const plain = await controller.agent("b").connect([], { protocol, broadcasts: true });
    await a.frame("groups", ({ hosts }) => hosts.some(({ host, left }) => host === "b" && left.includes(group)));
    await plain.heard();
    expect(plain.frames("groups")).toEqual([]);
    expect((await listed(controller)).items).toEqual([]);
  });

  test("end with the host's last VM in the network, and with the copies", async () => {
    const controller = await copied();
    const b = await member(controller, "b");
    b.send(report({ whole: true, joined: [group] }));
    await b.heard();
    expect((await listed(controller)).total).toBe(1);
    await call(controller, 200, "PATCH", path, { broadcast: "off" });
    expect((await listed(controller)).total).toBe(0);
    b.send(report({ whole: true, joined: [group] }));
    await b.heard();
    expect((await listed(controller)).total).toBe(0);
    await call(controller, 200, "PATCH", path, { broadcast: "replicate" });
    b.send(report({ whole: true, joined: [group] }));
    await b.heard();
    expect((await listed(controller)).total).toBe(1);
    const vms = (await controller.request("GET", "/v1/vms?host=b")).body as { vms: { name: string }[] };
    for (const { name } of vms.vms) await call(controller, 204, "DELETE", `/v1/vms/${name}`);
    expect((await listed(controller)).total).toBe(0);
  });

  test("of one link, and of networks that the host may not know, are ignored; what is no group ends the session", async () => {
    const controller = await copied();
    const b = await member(controller, "b");
    b.send(report({ whole: true, joined: ["224.0.0.1", "ff02::1:ff00:1"] }));
    b.send({ ...report({ whole: true, joined: [group] }), vni: vni(999) });
    await b.heard();
    expect((await listed(controller)).items).toEqual([]);
    b.sendText(JSON.stringify({ type: "memberships", vni: 100, whole: true, joined: ["10.0.0.1"], left: [] }));
    expect(await b.closed).toMatchObject({ code: 4400 });
    expect((await controller.request("GET", "/v1/networks/none/groups")).status).toBe(404);
  });
});
