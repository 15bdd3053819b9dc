// What a host may know of a network: the matrix of its relation to the network × every frame that carries something of it, when the
// relation exists before the session, and when it begins or ends during one.
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { type BindingKey, parseGroup, parseIp, parseMac, parseVni } from "../../schema/address/index.ts";
import type { ControllerFrame } from "../../schema/agent/index.ts";
import { type AgentClient, type Controller, call, startController } from "./harness.ts";

/** The network in question, and one with the same addresses that is always the host's. */
const blue = { name: "blue", vni: parseVni(100) };
const red = { name: "red", vni: parseVni(200) };
const subject = "a";

interface Relation {
  readonly name: string;
  readonly mayKnow: boolean;
  /** A VM of the network runs on the host, so that others ask for it. */
  readonly isHome?: true;
  /** From a fleet in which the host may not know the network. */
  establish(api: Api): Promise<void>;
}

type Api = (status: number, method: string, path: string, body?: unknown) => Promise<unknown>;

const nic = (network: string, n: number, more = {}) => ({
  network,
  mac: `52:54:00:00:00:0${n}`,
  ips: [`10.0.0.${n}`],
  ...more,
});
const own = 1;
const peer = 2;
const put = (api: Api, host: string, interfaces: readonly object[] = [nic("blue", own)]) =>
  api(201, "PUT", "/v1/vms/own", { host, interfaces });

const relations: readonly Relation[] = [
  { name: "no VM", mayKnow: false, establish: async () => {} },
  { name: "a VM", mayKnow: true, isHome: true, establish: (api) => put(api, subject).then(() => {}) },
  {
    name: "a VM that has moved there",
    mayKnow: true,
    isHome: true,
    establish: async (api) => {
      await put(api, "b");
      await api(200, "POST", "/v1/vms/own/move", { host: subject });
    },
  },
  {
    name: "a VM with a second interface there",
    mayKnow: true,
    isHome: true,
    establish: async (api) => {
      const interfaces = [nic("red", own, { name: "eth0" }), nic("blue", own, { name: "eth1" })];
      await put(api, subject, interfaces.slice(0, 1));
      await api(200, "PATCH", "/v1/vms/own", { interfaces });
    },
  },
  {
    name: "a VM, and the host is marked down",
    mayKnow: true,
    isHome: true,
    establish: async (api) => {
      await put(api, subject);
      await api(200, "PATCH", `/v1/hosts/${subject}`, { down: true });
    },
  },
  {
    name: "a VM that is being migrated there",
    mayKnow: true,
    establish: async (api) => {
      await put(api, "b");
      await api(200, "POST", "/v1/vms/own/prepare", { host: subject });
    },
  },
  {
    name: "a VM that was migrated there",
    mayKnow: true,
    isHome: true,
    establish: async (api) => {
      await put(api, "b");
      await api(200, "POST", "/v1/vms/own/prepare", { host: subject });
      await api(200, "POST", "/v1/vms/own/commit", {});
    },
  },
  {
    name: "a VM that is being migrated away",
    mayKnow: true,
    isHome: true,
    establish: async (api) => {
      await put(api, subject);
      await api(200, "POST", "/v1/vms/own/prepare", { host: "b" });
    },
  },
  {
    name: "a VM that was migrated away",
    mayKnow: false,
    establish: async (api) => {
      await put(api, subject);
      await api(200, "POST", "/v1/vms/own/prepare", { host: "b" });
      await api(200, "POST", "/v1/vms/own/commit", {});
    },
  },
  {
    name: "a migration that was aborted",
    mayKnow: false,
    establish: async (api) => {
      await put(api, "b");
      await api(200, "POST", "/v1/vms/own/prepare", { host: subject });
      await api(200, "POST", "/v1/vms/own/abort", {});
    },
  },
  {
    name: "a VM that has moved away",
    mayKnow: false,
    establish: async (api) => {
      await put(api, subject);
      await api(200, "POST", "/v1/vms/own/move", { host: "b" });
    },
  },
  {
    name: "a VM that was detached",
    mayKnow: false,
    establish: async (api) => {
      await put(api, subject);
      await api(200, "PATCH", "/v1/vms/own", { interfaces: [nic("red", own)] });
    },
  },
  {
    name: "a VM that was deleted",
    mayKnow: false,
    establish: async (api) => {
      await put(api, subject);
      await api(204, "DELETE", "/v1/vms/own");
    },
  },
];

const key = (n: number, { vni }: typeof blue): BindingKey[] => [
  { kind: "ip", vni, ip: parseIp(`10.0.0.${n}`) },
  { kind: "mac", vni, mac: parseMac(`52:54:00:00:00:0${n}`) },
];
const keys = [blue, red].flatMap((network) => [own, peer, 3].flatMap((n) => key(n, network)));

type FrameType = ControllerFrame["type"];

/**
 * What of the network a frame reveals. A tombstone reveals nothing: a network that a host may not know has them for every address.
 * Nor does `gone`: the host knew it before.
 */
function revealed(frame: ControllerFrame): string[] {
  const networks = "networks" in frame ? frame.networks.filter(({ vni }) => vni === blue.vni) : [];
  const answers =
    "answers" in frame ? frame.answers.filter((each) => each.key.vni === blue.vni && each.binding !== null) : [];
  const tables: readonly FrameType[] = ["senders", "hosts", "groups"];
  const isTable = tables.includes(frame.type) && "vni" in frame && frame.vni === blue.vni;
  return [
    ...networks.map(() => `${frame.type}: network`),
    ...answers.map(() => `${frame.type}: answer`),
    ...(isTable ? [`${frame.type}: hosts`] : []),
  ];
}

interface Scene {
  readonly controller: Controller;
  readonly api: Api;
  readonly agent: AgentClient;
}

interface Kind {
  readonly reveals: string;
  /** The version of the protocol that has it; absent: both. */
  readonly only?: number;
  /** Only to hosts on which a VM of the network runs. */
  readonly toHomes?: true;
  provoke(scene: Scene): Promise<void>;
}

const newcomer: Kind["provoke"] = ({ api }) =>
  api(201, "PUT", "/v1/vms/newcomer", { host: "c", interfaces: [nic("blue", 3)] }).then(() => {});

/** A host that may not know the network is sent an empty base. */
async function subscribe(agent: AgentClient): Promise<void> {
  const bases = () => agent.frames("base").filter(({ end }) => end).length;
  const before = bases();
  agent.send({ type: "subscribe", id: 1, vni: blue.vni });
  await agent.untilAll(() => bases() > before);
}

/** A new type of frame has to be added here: with what provokes it, or as one that has nothing of a network. */
const kinds: Readonly<Record<FrameType, readonly Kind[]>> = {
  // The first of all: what a host knows already is not sent ahead.
  seed: [
    {
      reveals: "seed: answer",
      toHomes: true,
      provoke: async ({ controller }) => {
        const asking = await controller.agent("b").connect([], { seeding: true });
        const asker = parseIp(`10.0.0.${peer}`);
        asking.send({ type: "resolve", id: 1, questions: keys.map((each) => ({ ...each, asker })) });
        await asking.heard();
      },
    },
  ],
  welcome: [],
  heartbeat: [],
  trust: [],
  claimed: [],
  // It is about the host's own VM.
  probe: [],
  snapshot: ["network", "answer"].map((what) => ({
    reveals: `snapshot: ${what}`,
    provoke: async ({ agent }) => {
      const before = agent.frames("snapshot").length;
      agent.send({ type: "interest", keys, end: true });
      await agent.untilAll(() => agent.frames("snapshot").length > before);
    },
  })),
  answers: [
    {
      reveals: "answers: answer",
      provoke: async ({ agent }) => agent.send({ type: "resolve", id: 1, questions: keys }),
    },
  ],
  changes: [
    {
      reveals: "changes: answer",
      // The peer is asked for first: its change goes to those who know it.
      provoke: async ({ api, agent }) => {
        agent.send({ type: "resolve", id: 2, questions: key(peer, blue) });
        await agent.heard();
        await api(200, "PATCH", "/v1/vms/peer", { interfaces: [{ ...nic("blue", peer), mac: "52:54:00:00:00:22" }] });
      },
    },
    {
      reveals: "changes: network",
      provoke: ({ api }) => api(200, "PATCH", "/v1/networks/blue", { mtu: 1_400 }).then(() => {}),
    },
  ],
  base: [{ only: 2, reveals: "base: answer", provoke: ({ agent }) => subscribe(agent) }],
  delta: [
    {
      only: 2,
      reveals: "delta: answer",
      provoke: async ({ api, agent }) => {
        await subscribe(agent);
        await api(200, "PATCH", "/v1/vms/peer", { interfaces: [{ ...nic("blue", peer), mac: "52:54:00:00:00:23" }] });
      },
    },
  ],
  hosts: [{ only: 2, reveals: "hosts: hosts", provoke: newcomer }],
  senders: [{ only: 1, reveals: "senders: hosts", provoke: newcomer }],
  // The last of all: copies begin with it.
  groups: [
    {
      only: 2,
      reveals: "groups: hosts",
      provoke: async ({ api, controller }) => {
        await api(200, "PATCH", "/v1/networks/blue", { broadcast: "replicate" });
        const member = await controller.agent("b").connect([], { groups: true, protocol: { min: 1, max: 2 } });
        const joined = [parseGroup("239.1.2.3")];
        member.send({ type: "memberships", vni: blue.vni, whole: false, joined, left: [] });
        await member.heard();
      },
    },
  ],
};

async function stage(): Promise<Omit<Scene, "agent">> {
  const controller = await startController();
  const api: Api = (...request) => call(controller, ...request);
  for (const { name, vni } of [blue, red])
    await api(201, "PUT", `/v1/networks/${name}`, { vni, subnets: ["10.0.0.0/24"] });
  for (const [i, host] of ["a", "b", "c"].entries())
    await api(201, "PUT", `/v1/hosts/${host}`, { vtep: `192.0.2.${i + 1}` });
  await api(201, "PUT", "/v1/vms/peer", { host: "b", interfaces: [nic("blue", peer)] });
  await api(201, "PUT", "/v1/vms/always", { host: subject, interfaces: [nic("red", 7)] });
  return { controller, api };
}

const connect = (controller: Controller, max: number, declared = keys) =>
  controller
    .agent(subject)
    .connect(declared, { seeding: true, senders: true, groups: true, protocol: { min: 1, max } });

/** Provokes every frame in turn. */
async function check(relation: Relation, protocol: number, scene: Scene): Promise<void> {
  const { agent } = scene;
  for (const kind of Object.values(kinds).flat()) {
    if (kind.only !== undefined && kind.only !== protocol) continue;
    const from = agent.received.length;
    await kind.provoke(scene);
    await agent.heard();
    const found = new Set(agent.received.slice(from).flatMap(revealed));
    if (!relation.mayKnow) expect([...found]).toEqual([]);
    expect(found.has(kind.reveals), kind.reveals).toBe(relation.mayKnow && (!kind.toHomes || relation.isHome === true));
  }
}

describe.each([1, 2])("a host learns of a network by its relation to it, in every frame of version %s", (protocol) => {
  test.each(relations)("$name, from before the session", async (relation) => {
    const { controller, api } = await stage();
    await relation.establish(api);
    const agent = await connect(controller, protocol, []);
    if (!relation.mayKnow) expect(agent.received.flatMap(revealed)).toEqual([]);
    await check(relation, protocol, { controller, api, agent });
  });

  test.each(relations)("$name, from a moment of the session on", async (relation) => {
    const { controller, api } = await stage();
    const agent = await connect(controller, protocol);
    expect(agent.received.flatMap(revealed)).toEqual([]);
    await relation.establish(api);
    await agent.heard();
    await check(relation, protocol, { controller, api, agent });
  });

  test.each(relations.filter(({ mayKnow }) => mayKnow))("$name, until the VM is deleted", async ({ establish }) => {
    const { controller, api } = await stage();
    const agent = await connect(controller, protocol);
    await establish(api);
    agent.send({ type: "resolve", id: 1, questions: keys });
    if (protocol === 2) await subscribe(agent);
    await agent.heard();
    await api(204, "DELETE", "/v1/vms/own");
    await agent.heard();
    expect(agent.frames("changes").some(({ gone }) => gone.includes(blue.vni))).toBe(true);
    await check({ name: "no VM any more", mayKnow: false, establish }, protocol, { controller, api, agent });
  });
});

test("only known-networks.ts asks the inventory which networks are on a host, of all that hosts are sent", () => {
  const directory = resolve(import.meta.dirname, "../../controller/agents");
  const asking = readdirSync(directory).filter((file) =>
    /\.(?:networksOn|hostsIn)\(/.test(readFileSync(join(directory, file), "utf8")),
  );
  expect(asking).toEqual([]);
});
