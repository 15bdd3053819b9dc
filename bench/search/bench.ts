// `search`: what a list of VMs answers with, as the dashboard and the command line ask for it, in a fleet of a thousand and
// in one that is much larger: what is quick in both is quick because of how it searches, not because there is little.
import { pause } from "../../lab/wait.ts";
import { BenchController } from "../controller.ts";
import { fleetLines } from "../made-up-fleet.ts";
import type { Progress } from "../progress.ts";
import { type Distribution, distribution, round } from "../statistics.ts";

export interface SearchOptions {
  /** In the large fleet. */
  readonly vms: number;
  /** Of each search in each fleet. */
  readonly rounds: number;
}

interface Search {
  readonly what: string;
  /** Behind `/v1/vms?`, in a fleet of so many. */
  readonly query: (vms: number) => string;
  /** How many VMs the answer has, so that nothing is measured that finds nothing. */
  readonly finds: number;
}

export interface SearchResult extends SearchOptions {
  readonly smallVms: number;
  readonly searches: readonly {
    readonly what: string;
    readonly small: Distribution;
    readonly large: Distribution;
    /** Median, large : small. */
    readonly ratio: number;
  }[];
  /** Longest that the large fleet's event loop was late, ms. */
  readonly maxLagMs: number;
}

const smallVms = 1_000;
const pageSize = 50;
const vmsPerHost = 100;
/** The VM in the middle has these addresses by `fleetLines`. */
const middle = (vms: number) => Math.floor(vms / 2);
const macOf = (n: number) =>
  `52:54:00:${[n >> 16, n >> 8, n].map((byte) => (byte & 255).toString(16).padStart(2, "0")).join(":")}`;
const ipv6Of = (n: number) => `fd00:${Math.floor(n / 1_000).toString(16)}::${((n % 1_000) + 1).toString(16)}`;

const searches: readonly Search[] = [
  { what: "first page", query: () => "", finds: pageSize },
  { what: "name, begins with", query: () => "name=vm-9", finds: pageSize },
  { what: "name, whole", query: (vms) => `name=vm-${vms - 1}`, finds: 1 },
  { what: "IP", query: (vms) => `ip=${ipv6Of(middle(vms))}`, finds: 1 },
  { what: "MAC", query: (vms) => `mac=${macOf(middle(vms))}`, finds: 1 },
  { what: "IP of nobody", query: () => "ip=10.255.255.1", finds: 0 },
  { what: "on a host", query: () => "host=host-1", finds: pageSize },
  { what: "in a network", query: () => "network=net-0", finds: pageSize },
  { what: "label of two", query: () => "label=rare", finds: 2 },
  { what: "label of none", query: () => "label=nobody", finds: 0 },
];

export async function searchBench(options: SearchOptions, progress: Progress): Promise<SearchResult> {
  const fleets: { readonly vms: number; readonly controller: BenchController }[] = [];
  try {
    for (const vms of [smallVms, options.vms]) {
      progress(`importing ${vms} VMs`);
      const controller = await BenchController.start();
      fleets.push({ vms, controller });
      await fill(controller, vms);
    }
    const [small, large] = fleets as [(typeof fleets)[0], (typeof fleets)[0]];
    await large.controller.lagMs();
    const results = [];
    for (const search of searches) {
      progress(search.what);
      const times = { small: [] as number[], large: [] as number[] };
      // In turns, so that what else the machine does meets both.
      for (let round = 0; round < options.rounds; round++) {
        times.small.push(await time(small.controller.base, search, small.vms));
        times.large.push(await time(large.controller.base, search, large.vms));
        await pause(1);
      }
      const [a, b] = [distribution(times.small), distribution(times.large)];
      results.push({ what: search.what, small: a, large: b, ratio: round(b.medianMs / a.medianMs) });
    }
    const { max: maxLagMs } = await large.controller.lagMs();
    return { ...options, smallVms, searches: results, maxLagMs };
  } finally {
    for (const { controller } of fleets) await controller.stop();
  }
}

/** Two carry the label `rare`. */
async function fill(controller: BenchController, vms: number): Promise<void> {
  const lines = [...fleetLines({ vms, hosts: Math.ceil(vms / vmsPerHost) })].map((line) =>
    /"name":"vm-(?:7|8)"/.test(line) ? line.replace('"host"', '"labels":{"rare":""},"host"') : line,
  );
  await controller.import(Buffer.from(lines.join("")));
}

async function time(base: string, { what, query, finds }: Search, vms: number): Promise<number> {
  const startMs = performance.now();
  const response = await fetch(`http://${base}/v1/vms?limit=${pageSize}&${query(vms)}`);
  const { vms: found } = (await response.json()) as { vms: unknown[] };
  const tookMs = performance.now() - startMs;
  if (found.length !== finds) throw new Error(`${what} among ${vms}: found ${found.length}, expected ${finds}`);
  return tookMs;
}
