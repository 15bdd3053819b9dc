// `change`: what a change of a network costs its controller and its hosts, by the number of the network's hosts and by that of the fleet, for a
// network in memory and for one on demand. The change is a move of a VM.
import { toThousandths } from "../../../common/round.ts";
import { type BindingKey, parseIp, parseMac, parseVni } from "../../../schema/address/index.ts";
import { waitFor } from "../../lab/wait.ts";
import { missedOf } from "../bounds.ts";
import { BenchController } from "../controller.ts";
import { inGroups } from "../groups.ts";
import { addressesOf, hostName, vtepOf } from "../made-up-fleet.ts";
import { cpuSeconds } from "../process-usage.ts";
import type { Progress } from "../progress.ts";
import { ChangeAgent } from "./agent.ts";

export const knowledges = ["replicate", "on-demand"] as const;
type Knowledge = (typeof knowledges)[number];

export interface ChangeOptions {
  /** Hosts of the network, with a VM each. */
  readonly hosts: readonly number[];
  /** Connected hosts altogether; at least those of the network. */
  readonly fleet: readonly number[];
  /** Hosts that have asked for the moved VM, on demand. */
  readonly asked: number;
  readonly changes: number;
  readonly bounds: ChangeBounds;
}

export interface ChangeBounds {
  /** Of a network in memory: CPU time and bytes for each host, with the most hosts to that with the fewest. */
  readonly linear: number;
  /** CPU time of a change with the largest fleet to that with the smallest. */
  readonly fleet: number;
}

export interface ChangePoint {
  readonly knowledge: Knowledge;
  readonly hosts: number;
  readonly fleet: number;
  /** Of the controller, the request included. */
  readonly cpuUs: number;
  /** That were sent something of a change. */
  readonly notified: number;
  /** For each of them. */
  readonly bytes: number;
  readonly frames: number;
}

export interface ChangeResult extends Omit<ChangeOptions, "bounds" | "hosts" | "fleet"> {
  readonly points: readonly ChangePoint[];
  readonly missed: readonly string[];
}

const vni = 1_000;
const network = "net";
/** VMs that are moved at the same moment, so that a change costs less beside what it sends. */
const movers = 8;
/** Compiles what a change runs. */
const firstRounds = 10;
const connectedAtOnce = 16;
const address = (n: number) => ({ ...addressesOf(n), ip: addressesOf(n).ips[0] });

export async function changeBench(options: ChangeOptions, progress: Progress): Promise<ChangeResult> {
  const { hosts, fleet, asked, changes, bounds } = options;
  const points: ChangePoint[] = [];
  for (const knowledge of knowledges) {
    for (const some of hosts) {
      for (const all of fleet) {
        const size = { knowledge, hosts: some, fleet: Math.max(some, all) };
        const isKnown = points.some((point) =>
          Object.entries(size).every(([key, value]) => point[key as keyof ChangePoint] === value),
        );
        if (!isKnown) points.push(await measure(size, options, progress));
      }
    }
  }
  return { asked, changes, points, missed: judgeChanges(points, bounds) };
}

type Size = Pick<ChangePoint, "knowledge" | "hosts" | "fleet">;

async function measure(size: Size, { asked, changes }: ChangeOptions, progress: Progress): Promise<ChangePoint> {
  const { knowledge, hosts, fleet } = size;
  const name = `${knowledge}, ${hosts} hosts of ${fleet}`;
  const controller = await BenchController.start();
  const agents: ChangeAgent[] = [];
  try {
    progress(`${name}: connecting`);
    await controller.import(Buffer.from([...lines(size)].join("")));
    const isInMemory = knowledge === "replicate";
    const keys = Array.from({ length: movers }, (_, n) => address(hosts + n)).flatMap(({ mac, ip }): BindingKey[] => [
      { kind: "ip", vni: parseVni(vni), ip: parseIp(ip) },
      { kind: "mac", vni: parseVni(vni), mac: parseMac(mac) },
    ]);
    agents.push(
      ...(await inGroups(Array.from({ length: fleet }), connectedAtOnce, (_, n) => {
        const isMember = n < hosts;
        const inMemory = isInMemory && isMember ? { vni } : {};
        // VMs move between the first two, which are notified anyway.
        const hasAsked = !isInMemory && isMember && n >= 2 && n < 2 + asked;
        return ChangeAgent.connect(controller.base, n, { ...inMemory, keys: hasAsked ? keys : [] });
      })),
    );
    const informed = isInMemory ? agents.slice(0, hosts) : agents.slice(0, Math.min(hosts, 2 + asked));
    const moveAll = async (rounds: number): Promise<void> => {
      let revision = 0;
      for (let round = 0; round < rounds; round++) {
        const to = hostName(round % 2 === 0 ? 1 : 0);
        const revisions = await Promise.all(
          Array.from({ length: movers }, (_, n) => move(controller, moverName(n), to)),
        );
        revision = Math.max(...revisions);
      }
      const has = () => informed.every(({ asOf }) => asOf >= revision);
      await waitFor(has, { what: `${informed.length} agents to have the changes`, deadlineMs: 60_000 });
    };
    await moveAll(firstRounds);
    progress(`${name}: ${changes} changes`);
    const total = (of: (agent: ChangeAgent) => number) => agents.reduce((sum, agent) => sum + of(agent), 0);
    const before = { cpu: cpuSeconds(controller.pid), bytes: total((a) => a.bytes), frames: total((a) => a.frames) };
    const counts = agents.map(({ frames }) => frames);
    const rounds = Math.ceil(changes / movers);
    await moveAll(rounds);
    const cpu = cpuSeconds(controller.pid) - before.cpu;
    const notified = agents.filter(({ frames }, i) => frames > (counts[i] ?? 0)).length;
    const each = (sum: number) => toThousandths(sum / (rounds * movers) / notified);
    return {
      ...size,
      cpuUs: toThousandths((cpu * 1e6) / (rounds * movers)),
      notified,
      bytes: each(total((a) => a.bytes) - before.bytes),
      frames: each(total((a) => a.frames) - before.frames),
    };
  } finally {
    for (const agent of agents) agent.close();
    await controller.stop();
  }
}

const moverName = (n: number): string => `mover-${n}`;

/** A VM that stays on each host of the network, and those that move; the other hosts have none. */
function* lines({ knowledge, hosts, fleet }: Size): Generator<string> {
  const line = (value: object) => `${JSON.stringify(value)}\n`;
  const vm = (name: string, host: number, n: number) => {
    const { mac, ip } = address(n);
    return line({ kind: "vm", name, host: hostName(host), interfaces: [{ network, mac, ips: [ip] }] });
  };
  yield line({ kind: "network", name: network, vni, subnets: ["10.0.0.0/20"], knowledge });
  for (let n = 0; n < fleet; n++) yield line({ kind: "host", name: hostName(n), vtep: vtepOf(n) });
  for (let n = 0; n < hosts; n++) yield vm(`vm-${n}`, n, n);
  for (let n = 0; n < movers; n++) yield vm(moverName(n), 0, hosts + n);
}

/** @returns the revision of the move */
async function move(controller: BenchController, vm: string, host: string): Promise<number> {
  const request = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ host }) };
  const response = await fetch(`${controller.url}/v1/vms/${vm}/move`, request);
  const body = (await response.json()) as { readonly revision?: number };
  if (!response.ok || body.revision === undefined)
    throw new Error(`the move: ${response.status} ${JSON.stringify(body)}`);
  return body.revision;
}

/** The line that fits best: what a change costs, and each host of it. Pure. */
export function fitLine(points: readonly Pick<ChangePoint, "hosts" | "cpuUs">[]): {
  readonly fixedUs: number;
  readonly eachUs: number;
} {
  const mean = (of: (point: Pick<ChangePoint, "hosts" | "cpuUs">) => number) =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [hosts, cpuUs] = [mean((point) => point.hosts), mean((point) => point.cpuUs)];
  const spread = mean((point) => (point.hosts - hosts) ** 2);
  const eachUs = mean((point) => (point.hosts - hosts) * (point.cpuUs - cpuUs)) / spread;
  return { fixedUs: toThousandths(cpuUs - eachUs * hosts), eachUs: toThousandths(eachUs) };
}

/** @returns a sentence for each ceiling that was exceeded. Pure. */
export function judgeChanges(points: readonly ChangePoint[], bounds: ChangeBounds): string[] {
  const inMemory = points.filter(({ knowledge }) => knowledge === "replicate");
  const by = (of: (point: ChangePoint) => number) => inMemory.toSorted((a, b) => of(a) - of(b));
  const fleets = [...new Set(inMemory.map(({ fleet }) => fleet))];
  const sizes = [...new Set(inMemory.map(({ hosts }) => hosts))];
  return missedOf([
    ...fleets.flatMap((fleet) => {
      const own = by(({ hosts }) => hosts).filter((point) => point.fleet === fleet);
      const [few, many] = [own[0], own.at(-1)];
      if (!few || !many || few.hosts === many.hosts) return [];
      const compared = `${many.hosts} hosts of a network : ${few.hosts}, in a fleet of ${fleet},`;
      return [
        {
          what: `CPU time for each host, ${compared}`,
          ratio: many.cpuUs / many.hosts / (few.cpuUs / few.hosts),
          most: bounds.linear,
        },
        { what: `bytes for each host, ${compared}`, ratio: many.bytes / few.bytes, most: bounds.linear },
      ];
    }),
    ...sizes.flatMap((hosts) => {
      const own = by(({ fleet }) => fleet).filter((point) => point.hosts === hosts);
      const [small, large] = [own[0], own.at(-1)];
      if (!small || !large || small.fleet === large.fleet) return [];
      const what = `CPU time of a change in a network of ${hosts} hosts, in a fleet of ${large.fleet} : ${small.fleet},`;
      return [{ what, ratio: large.cpuUs / small.cpuUs, most: bounds.fleet }];
    }),
  ]);
}
