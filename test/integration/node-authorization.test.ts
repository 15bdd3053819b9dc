// The rights of a host: the matrix host × network × verb over REST and the agent channel. Networks overlap in every
// address.
import { describe, expect, test } from "vitest";
import { type BindingKey, parseIp, parseMac, parseVni } from "../../schema/address/index.ts";
import { closeCodes } from "../../schema/agent/index.ts";
import { agentOf, findCertified, type HostName, requestAs } from "../support/certified.ts";
import { call, startSecured } from "./harness.ts";

const networks = { blue: 100, red: 200, green: 300 } as const;
type NetworkName = keyof typeof networks;

/** Which VMs run where: `blue-a` is in blue on a. Only c has a VM in green. */
const placements: readonly (readonly [NetworkName, HostName])[] = [
  ["blue", "a"],
  ["blue", "b"],
  ["red", "b"],
  ["green", "c"],
];
const hosts: readonly HostName[] = ["a", "b", "c"];
const sees = (host: HostName, network: NetworkName) => placements.some(([n, h]) => n === network && h === host);
const matrix = hosts.flatMap((host) =>
  (Object.keys(networks) as NetworkName[]).map((network) => [host, network] as const),
);

/** The same number of the same host has the same addresses in every network. */
const numberOf = (host: HostName) => hosts.indexOf(host) + 1;
const ipOf = (host: HostName) => `10.20.1.${numberOf(host)}`;
const macOf = (host: HostName) => `52:54:00:00:00:0${numberOf(host)}`;

async function furnished() {
  const controller = await startSecured({ findCertified });
  const put = (path: string, body: unknown) => call(controller.admin, 201, "PUT", path, body);
  for (const [name, vni] of Object.entries(networks)) {
    await put(`/v1/networks/${name}`, { vni, subnets: ["10.20.1.0/24"] });
  }
  for (const host of hosts) await put(`/v1/hosts/${host}`, { vtep: `192.0.2.${numberOf(host)}` });
  for (const [network, host] of placements) {
    await put(`/v1/vms/${network}-${host}`, { host, interfaces: [{ network, mac: macOf(host), ips: [ipOf(host)] }] });
  }
  return controller;
}

/** Hidden resources are answered like absent ones, except for the name. */
async function expectHidden(
  answer: { status: number; text: string },
  twin: { status: number; text: string },
  names: [string, string],
) {
  expect(answer.status).toBe(404);
  expect(answer.text.replaceAll(names[0], names[1])).toBe(twin.text);
}

describe("over REST", () => {
  test.each(matrix)(
    "host %s reads of network %s only what its own VMs need, and nothing if it has none",
    async (host, network) => {
      const controller = await furnished();
      const get = (path: string) => requestAs(controller, host, "GET", path);
      const one = await get(`/v1/networks/${network}`);
      const vni = networks[network];
      const peer = placements.find(([each]) => each === network)?.[1] ?? "a";
      const byIp = await get(`/v1/resolve?vni=${vni}&ip=${ipOf(peer)}`);
      const byMac = await get(`/v1/resolve?vni=${vni}&mac=${macOf(peer)}`);
      if (sees(host, network)) {
        expect([one.status, byIp.status, byMac.status]).toEqual([200, 200, 200]);
        expect(JSON.parse(byIp.text)).toMatchObject({ vni, host: peer, vm: `${network}-${peer}` });
      } else {
        await expectHidden(one, await get("/v1/networks/nowhere"), [network, "nowhere"]);
        await expectHidden(byIp, await get(`/v1/resolve?vni=999&ip=${ipOf(peer)}`), [String(vni), "999"]);
        await expectHidden(byMac, await get(`/v1/resolve?vni=999&mac=${macOf(peer)}`), [String(vni), "999"]);
      }
      expect(JSON.parse((await get("/v1/networks")).text).networks.map(({ name }: { name: string }) => name)).toEqual(
        Object.keys(networks)
          .filter((each) => sees(host, each as NetworkName))
          .sort(),
      );
    },
  );

  test.each(hosts)("host %s sees itself and its own VMs, and no other host or VM", async (host) => {
    const controller = await furnished();
    const get = (path: string) => requestAs(controller, host, "GET", path);
    for (const other of hosts) {
      const answer = await get(`/v1/hosts/${other}`);
      if (other === host) expect(answer.status).toBe(200);
      else {
        expect(answer.status).toBe(404);
        expect(JSON.parse(answer.text).detail).toBe(`no host is named "${other}"`);
      }
    }
    for (const [network, place] of placements) {
      const answer = await get(`/v1/vms/${network}-${place}`);
      if (place === host) expect(answer.status).toBe(200);
      else await expectHidden(answer, await get("/v1/vms/nothing"), [`${network}-${place}`, "nothing"]);
    }
    const names = (text: string, plural: string) => JSON.parse(text)[plural].map(({ name }: { name: string }) => name);
    expect(names((await get("/v1/hosts")).text, "hosts")).toEqual([host]);
    const own = placements.filter(([, place]) => place === host).map(([network]) => `${network}-${host}`);
    expect(names((await get("/v1/vms")).text, "vms")).toEqual(own.sort());
  });

  test.each(hosts)(
    "host %s changes nothing, watches nothing and administers nothing, whatever exists",
    async (host) => {
      const controller = await furnished();
      const before = await call(controller.admin, 200, "GET", "/v1/audit?limit=1000");
      const vm = { host, interfaces: [{ network: "blue", mac: "52:54:00:00:00:09", ips: ["10.20.1.9"] }] };
      const attempts: readonly [string, string, unknown?][] = [
        ...["blue", "red", "nowhere"].flatMap((name): [string, string, unknown?][] => [
          ["PUT", `/v1/networks/${name}`, { vni: 7, subnets: ["10.20.1.0/24"] }],
          ["DELETE", `/v1/networks/${name}`],
        ]),
        ...["a", "b", "nobody"].flatMap((name): [string, string, unknown?][] => [
          ["PUT", `/v1/hosts/${name}`, { vtep: "192.0.2.9" }],
          ["PATCH", `/v1/hosts/${name}`, { down: true }],
          ["POST", `/v1/hosts/${name}/evacuate`, { to: [host] }],
          ["DELETE", `/v1/hosts/${name}?force=true`],
          ["DELETE", `/v1/hosts/${name}`],
        ]),
        ...["blue-a", "red-b", "nothing"].flatMap((name): [string, string, unknown?][] => [
          ["PUT", `/v1/vms/${name}`, vm],
          ["PATCH", `/v1/vms/${name}`, { host }],
          ["POST", `/v1/vms/${name}/move`, { host }],
          ["POST", `/v1/vms/${name}/prepare`, { host }],
          ["POST", `/v1/vms/${name}/commit`, {}],
          ["POST", `/v1/vms/${name}/abort`, {}],
          ["DELETE", `/v1/vms/${name}`],
        ]),
        ["POST", "/v1/vms", { name: "new", ...vm }],
        ["POST", "/v1/tokens", { role: "admin" }],
        ["GET", "/v1/tokens"],
        ["DELETE", "/v1/tokens/x"],
        ["GET", "/v1/audit"],
        ["GET", "/v1/events"],
        ["GET", "/v1/log"],
        ["GET", "/v1/overview"],
        ["GET", "/v1/rates"],
        ["GET", "/v1/topology"],
        ["GET", "/v1/topology?network=blue"],
        ["GET", `/v1/vms/blue-${host}/holders`],
        ["GET", "/metrics"],
      ];
      for (const [method, path, body] of attempts) {
        const { status, text } = await requestAs(controller, host, method, path, body);
        expect(`${method} ${path} ${status}`).toBe(`${method} ${path} 403`);
        // The same words whether it exists or not.
        expect(JSON.parse(text).detail).toMatch(/^a host's certificate may not do this: it requires /);
      }
      expect(await call(controller.admin, 200, "GET", "/v1/audit?limit=1000")).toEqual(before);
    },
  );
});

describe("conditions", () => {
  const facts = {
    filter: { kind: "tunnel-filter", reason: "in", values: { chain: "inet f c", port: "4789" }, agoMs: 0 },
    unrouted: (of: HostName) => ({
      kind: "vtep-unrouted",
      reason: "no-route",
      values: { vtep: `192.0.2.${numberOf(of)}` },
      agoMs: 0,
    }),
    open: { kind: "host-open", reason: "unsupported", values: {}, agoMs: 0 },
    detached: (network: NetworkName, of: HostName) => ({
      kind: "guest-never-seen",
      reason: "detached",
      vni: networks[network],
      values: { mac: macOf(of), port: "vnet1", bridge: "nmb100" },
      agoMs: 0,
    }),
  };

  /** Host b has everything of the above, in both of its networks. */
  async function reported() {
    const controller = await furnished();
    const version2 = { protocol: { min: 1, max: 2 } } as const;
    const b = await agentOf(controller, "b").connect([], version2);
    const add = [
      facts.filter,
      facts.unrouted("a"),
      facts.unrouted("c"),
      facts.open,
      facts.detached("blue", "b"),
      facts.detached("red", "b"),
    ];
    const frame = { type: "conditions", whole: true, watchedMs: 0, undecided: [], add, remove: [], end: true };
    b.send(frame as never);
    await expect
      .poll(async () => (await call(controller.admin, 200, "GET", "/v1/conditions?host=b")).total)
      .toBe(add.length);
    const of = async (reader: HostName, host: string) => {
      const { status, text } = await requestAs(controller, reader, "GET", `/v1/conditions?host=${host}`);
      expect(status).toBe(200);
      return JSON.parse(text).conditions as { kind: string; network?: string; subject?: string; reason: string }[];
    };
    return of;
  }

  test("of a host of its networks are shown to a host as far as they concern their path, without names of devices", async () => {
    const of = await reported();
    const found = await of("a", "b");
    expect(found.map(({ kind }) => kind).sort()).toEqual(["guest-never-seen", "tunnel-filter", "vtep-unrouted"]);
    const all = JSON.stringify(found);
    expect(all).not.toMatch(/inet f c|vnet1|nmb100|192\.0\.2\.3|"red"/);
    expect(all).toContain(macOf("b"));
    expect(all).toContain("192.0.2.1");
  });

  test("of a host without a common network are as those of a host that does not exist", async () => {
    const of = await reported();
    expect(await of("c", "b")).toEqual([]);
    expect(await of("c", "nowhere")).toEqual([]);
    expect((await of("b", "b")).length).toBe(6);
    expect(await of("a", "a")).toEqual([expect.objectContaining({ kind: "host-away" })]);
  });
});

describe("over the agent channel", () => {
  const keys = (network: NetworkName): BindingKey[] =>
    hosts.flatMap((each): BindingKey[] => {
      const vni = parseVni(networks[network]);
      return [
        { kind: "ip", vni, ip: parseIp(ipOf(each)) },
        { kind: "mac", vni, mac: parseMac(macOf(each)) },
      ];
    });

  test.each(matrix)(
    "host %s learns of network %s only if it has a VM in it: interest and questions",
    async (host, network) => {
      const controller = await furnished();
      const agent = agentOf(controller, host);
      await agent.connect(keys(network));
      agent.send({ type: "resolve", id: 1, questions: keys(network) });
      const { answers } = await agent.frame("answers");
      const [snapshot] = agent.frames("snapshot");
      const told = [...answers, ...(snapshot?.answers ?? [])].filter(({ key }) => key.vni === networks[network]);
      const present = hosts.filter((each) => placements.some(([n, h]) => n === network && h === each));
      const known = told.filter(({ binding }) => binding !== null);
      expect(new Set(known.map(({ binding }) => binding?.host))).toEqual(new Set(sees(host, network) ? present : []));
      expect(snapshot?.networks.map(({ name }) => name).sort()).toEqual(
        Object.keys(networks)
          .filter((each) => sees(host, each as NetworkName))
          .sort(),
      );
    },
  );

  test.each(matrix)(
    "host %s receives changes and seeds of network %s only if it has a VM in it",
    async (host, network) => {
      const controller = await furnished();
      const agent = agentOf(controller, host);
      await agent.connect(keys(network), { seeding: true });
      const before = agent.received.length;
      const other = hosts.find((each) => each !== host && sees(each, network)) ?? host;
      // Another host asks on behalf of its guest, so the host behind the answer is seeded.
      if (other !== host) {
        const asking = await agentOf(controller, other).connect([], { seeding: true });
        const vni = parseVni(networks[network]);
        const asker = parseIp(ipOf(other));
        asking.send({
          type: "resolve",
          id: 1,
          questions: hosts.map((each) => ({ kind: "ip", vni, ip: parseIp(ipOf(each)), asker })),
        });
        await asking.frame("answers");
      }
      // It is registered, renumbered and deleted, at addresses that the host has asked for.
      const body = (n: number) => ({
        host: other,
        interfaces: [{ network, mac: `52:54:00:00:00:1${n}`, ips: [`10.20.1.${n}`] }],
      });
      await call(controller.admin, 201, "PUT", "/v1/vms/new", body(7));
      await call(controller.admin, 200, "PUT", "/v1/vms/new", body(8));
      await call(controller.admin, 204, "DELETE", "/v1/vms/new");
      // The end of all that was sent: answers are in order.
      agent.send({ type: "resolve", id: 99, questions: [] });
      await agent.frame("answers", ({ id }) => id === 99);
      const vnis = agent.received.slice(before).flatMap((frame) => {
        if (frame.type === "seed" || frame.type === "answers") return frame.answers.map(({ key }) => key.vni);
        if (frame.type !== "changes") return [];
        return [...frame.answers.map(({ key }) => key.vni), ...frame.networks.map(({ vni }) => vni)];
      });
      if (!sees(host, network) && other !== host) expect(vnis).not.toContain(networks[network]);
      for (const vni of vnis) {
        const name = (Object.keys(networks) as NetworkName[]).find((each) => networks[each] === vni);
        expect(name && (sees(host, name) || (name === network && other === host))).toBe(true);
      }
    },
  );

  test.each(hosts)("host %s can act only under the name in its certificate", async (host) => {
    const controller = await furnished();
    for (const other of hosts.filter((each) => each !== host)) {
      const agent = agentOf(controller, host, other);
      await agent.opened;
      agent.send({ type: "hello", protocol: { min: 1, max: 1 }, version: "test", host: other, vtepPort: 4789 });
      expect(await agent.closed).toEqual({
        code: closeCodes.hostUnknown,
        reason: `the certificate is host "${host}"'s: start the agent with --host ${host}`,
      });
      const { connected } = await call(controller.admin, 200, "GET", `/v1/hosts/${other}`);
      expect(connected).toBe(false);
    }
  });

  test.each(hosts)("host %s reports about itself only, and changes no VTEP", async (host) => {
    const controller = await furnished();
    const agent = await agentOf(controller, host).connect([], { vtep: "192.0.2.99" as never });
    agent.send({ type: "applied", revision: 3 as never, problems: [`speaks of ${host}`] });
    agent.send({ type: "resolve", id: 99, questions: [] });
    await agent.frame("answers");
    const { hosts: all } = await call(controller.admin, 200, "GET", "/v1/hosts");
    for (const each of all) {
      expect(each.connected).toBe(each.name === host);
      expect(each.vtep).toBe(`192.0.2.${numberOf(each.name)}`);
      if (each.name !== host) expect(each).toMatchObject({ appliedRevision: null, problems: [] });
    }
  });

  test.each(["admin", "operator", "viewer"] as const)("a token of role %s opens no agent channel", async (role) => {
    const controller = await furnished();
    const { token } = await controller.issue({ role });
    const { status } = await controller.as(token).request("GET", "/v1/agent");
    expect(status).toBe(403);
    expect((await controller.request("GET", "/v1/agent")).status).toBe(401);
  });
});
