// `search`: what a list of VMs answers with, and the pages that count them, as the dashboard and the command line ask for
// them, in a fleet of a thousand and in one that is much larger: what is quick in both is quick because of how it searches,
// not because there is little.
import { toThousandths } from "../../../common/round.ts";
import { pause } from "../../lab/wait.ts";
import { type Distribution, distribution } from "../../statistics.ts";
import { BenchController } from "../controller.ts";
import { fleetLines, networkName, vmsPerNetwork } from "../made-up-fleet.ts";
import type { Progress } from "../progress.ts";

export interface SearchOptions {
  /** In the large fleet. */
  readonly vms: number;
  /** Of each search in each fleet. */
  readonly rounds: number;
}

interface Search {
  readonly what: string;
  /** Behind `/v1/`, in a fleet of so many. */
  readonly path: (vms: number) => string;
  /** How many VMs the answer has or counts, so that nothing is measured that finds nothing. */
  readonly finds: (vms: number) => number;
}

type Answer = { readonly vms: readonly unknown[] | number } | { readonly hosts: readonly { readonly vms: number }[] };

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

const page = (what: string, query: (vms: number) => string, finds = pageSize): Search => ({
  what,
  path: (vms) => `vms?limit=${pageSize}&${query(vms)}`,
  finds: () => finds,
});
const lastNetwork = (vms: number) => `network=${networkName(Math.ceil(vms / vmsPerNetwork) - 1)}`;
const label = (selector: string) => `label=${encodeURIComponent(selector)}`;

const searches: readonly Search[] = [
  page("first page", () => ""),
  page("name, begins with", () => "name=vm-9"),
  page("name, whole", (vms) => `name=vm-${vms - 1}`, 1),
  page("IP", (vms) => `ip=${ipv6Of(middle(vms))}`, 1),
  page("MAC", (vms) => `mac=${macOf(middle(vms))}`, 1),
  page("unknown IP", () => "ip=10.255.255.1", 0),
  page("on a host", () => "host=host-1"),
  page("in a network", lastNetwork),
  page("label of a third", () => label("tier=web")),
  page("label of a third, in a network", (vms) => `${label("tier=web")}&${lastNetwork(vms)}`),
  page("label of two", () => label("rare"), 2),
  page("label of none", () => label("nobody"), 0),
  page("without a label that all have", () => label("!tier"), 0),
  { what: "overview, no host connected", path: () => "overview", finds: (vms) => vms },
  { what: "map", path: () => "topology", finds: (vms) => vms },
  { what: "map of a network", path: (vms) => `topology?${lastNetwork(vms)}`, finds: () => vmsPerNetwork },
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
      results.push({ what: search.what, small: a, large: b, ratio: toThousandths(b.medianMs / a.medianMs) });
    }
    const { max: maxLagMs } = await large.controller.lagMs();
    return { ...options, smallVms, searches: results, maxLagMs };
  } finally {
    for (const { controller } of fleets) await controller.stop();
  }
}

/** Each carries one of three tiers, and two the label `rare`. */
async function fill(controller: BenchController, vms: number): Promise<void> {
  const tiers = ["web", "app", "db"];
  const lines = [...fleetLines({ vms, hosts: Math.ceil(vms / vmsPerHost) })].map((line, n) => {
    if (!line.startsWith('{"kind":"vm"')) return line;
    const labels = { tier: tiers[n % tiers.length], ...(/"name":"vm-[78]"/.test(line) ? { rare: "" } : {}) };
    return line.replace('"host"', `"labels":${JSON.stringify(labels)},"host"`);
  });
  await controller.import(Buffer.from(lines.join("")));
}

async function time(base: string, { what, path, finds }: Search, vms: number): Promise<number> {
  const startMs = performance.now();
  const response = await fetch(`http://${base}/v1/${path(vms)}`);
  const answer = (await response.json()) as Answer;
  const tookMs = performance.now() - startMs;
  const found = countIn(answer);
  if (found !== finds(vms)) throw new Error(`${what} among ${vms}: found ${found}, expected ${finds(vms)}`);
  return tookMs;
}

function countIn(answer: Answer): number {
  if (!("vms" in answer)) return answer.hosts.reduce((sum, { vms }) => sum + vms, 0);
  return typeof answer.vms === "number" ? answer.vms : answer.vms.length;
}
