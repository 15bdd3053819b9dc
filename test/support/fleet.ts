// A fleet for tests: any number of hosts with simulated agents, each with its own WebSocket, and interest in the likely
// partners of its VMs.
import { type BindingKey, parseMac, parseVni } from "../../schema/address/index.ts";
import { follow } from "../integration/fleet.ts";
import { type AgentClient, type Controller, call } from "../integration/harness.ts";

const networks = [
  { name: "blue", vni: 100, description: "Shop front" },
  { name: "red", vni: 200, description: "Payments" },
  { name: "green", vni: 300, description: "Analytics" },
] as const;
const roles = ["web", "db", "cache", "queue"] as const;

export interface FleetShape {
  readonly hosts: number;
  readonly vmsPerHost: number;
  /** MACs that each host has asked for. */
  readonly asked: number;
  /** Every so manieth agent is not there. */
  readonly awayEvery: number;
  /** Hosts that do not apply changes. */
  readonly slow?: readonly string[];
  /** The problems that agents report, by host. */
  readonly problems?: Readonly<Record<string, readonly string[]>>;
}

const hostName = (i: number, { hosts }: FleetShape) =>
  hosts <= 26 ? String.fromCharCode(97 + i) : `node-${String(i + 1).padStart(String(hosts).length, "0")}`;
const networkOf = (vm: number) => networks[vm % networks.length] ?? networks[0];
const bytes = (n: number) => [n >> 16, (n >> 8) & 255, n & 255];
const macOf = (vm: number) =>
  `52:54:00:${bytes(vm)
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join(":")}`;
const ipOf = (vm: number) => `10.${16 + (vm >> 16)}.${(vm >> 8) & 255}.${vm & 255}`;

/** As NDJSON for POST /v1/import. */
export function inventoryOf(shape: FleetShape): string {
  const hosts = Array.from({ length: shape.hosts }, (_, i) => i);
  const lines: object[] = [
    ...networks.map((each) => ({ kind: "network", ...each, subnets: ["10.16.0.0/12"], labels: { env: "prod" } })),
    ...hosts.map((i) => {
      const vtep = `198.51.${100 + (i >> 8)}.${i & 255}`;
      return { kind: "host", name: hostName(i, shape), vtep, labels: { rack: `r${1 + Math.floor(i / 20)}` } };
    }),
    ...hosts.flatMap((i) =>
      Array.from({ length: shape.vmsPerHost }, (_, j) => {
        const vm = 1 + i * shape.vmsPerHost + j;
        const role = roles[j % roles.length];
        const interfaces = [{ network: networkOf(vm).name, mac: macOf(vm), ips: [ipOf(vm)] }];
        return {
          kind: "vm",
          name: `${role}-${String(vm).padStart(6, "0")}`,
          host: hostName(i, shape),
          interfaces,
          labels: { tier: role },
        };
      }),
    ),
  ];
  return lines.map((line) => JSON.stringify(line)).join("\n");
}

/** Connected and in sync. @returns the agents that are there, by host */
export async function startFleet(controller: Controller, shape: FleetShape): Promise<Map<string, AgentClient>> {
  const headers = { "content-type": "application/x-ndjson" };
  const url = `http://${controller.base}/v1/import`;
  const response = await fetch(url, { method: "POST", headers, body: inventoryOf(shape) });
  const answer = await response.text();
  if (!response.ok) throw new Error(`import: ${response.status} ${answer}`);
  const { revision } = await call(controller, 200, "GET", "/readyz");
  const all = shape.hosts * shape.vmsPerHost;
  const agents = new Map<string, AgentClient>();
  await Promise.all(
    Array.from({ length: shape.hosts }, async (_, i) => {
      if (i % shape.awayEvery === shape.awayEvery - 1) return;
      const name = hostName(i, shape);
      const keys = Array.from({ length: shape.asked }, (_each, j): BindingKey => {
        // Most traffic goes to neighbours, some far away; always the same, so that pictures can be compared.
        const step = j % 4 === 3 ? 97 * (j + i) : (j + 1) * 3;
        const vm = 1 + ((i * shape.vmsPerHost + step) % all);
        return { kind: "mac", vni: parseVni(networkOf(vm).vni), mac: parseMac(macOf(vm)) };
      });
      const agent = controller.agent(name);
      await agent.connect(keys);
      const problems = [...(shape.problems?.[name] ?? [])];
      agent.send({ type: "applied", revision, problems });
      if (!shape.slow?.includes(name)) follow(agent, problems);
      agents.set(name, agent);
    }),
  );
  return agents;
}
