// `import`: one import of many VMs into a controller with connected agents, and the latency of others during it: a GET and an
// agent's query every 10 ms, compared with an idle controller, and VMs created one after the other. Beside it SQLite, which inserts row
// after row with a full fsync.
import { mkdtempSync, rmSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { every } from "../../../common/every.ts";
import { toThousandths } from "../../../common/round.ts";
import { parseIp, parseVni } from "../../../schema/address/index.ts";
import { pause } from "../../lab/wait.ts";
import { type Distribution, distribution } from "../../statistics.ts";
import { ask } from "../ask.ts";
import { missedOf } from "../bounds.ts";
import { BenchController } from "../controller.ts";
import { fleetLines, hostName, vtepOf } from "../made-up-fleet.ts";
import type { Progress } from "../progress.ts";
import { insertRaw } from "../register/side.ts";
import { formatMs } from "../table.ts";
import { BenchAgent } from "./agent.ts";

export interface ImportOptions {
  readonly vms: number;
  /** Connected, each of a host. There are more hosts where they would have too many VMs. */
  readonly agents: number;
  /** How long others are watched in peace. */
  readonly seconds: number;
  readonly bounds: {
    /** Least ratio of the import and rows of SQLite, by time. */
    readonly raw: number;
    /** MiB of the resident set at most, beyond that of a process that has only loaded the same. */
    readonly mib: number;
    /** p99 of a GET during the import at most, ms. */
    readonly ms: number;
  };
}

interface Waits {
  readonly get: Distribution;
  readonly resolve: Distribution;
  /** A VM created, and deleted: each after the one before. */
  readonly post: Distribution;
  /** Of these, those that were answered with 503. */
  readonly refused: number;
  /** Longest that the controller's event loop was late, ms. */
  readonly maxLagMs: number;
}

export interface ImportResult extends ImportOptions {
  readonly hosts: number;
  /** Rows a second that SQLite inserts alone, each with a full fsync. */
  readonly rawPerSecond: number;
  /** VMs a second of the import : `rawPerSecond`. */
  readonly toRaw: number;
  readonly missed: readonly string[];
  readonly importMs: number;
  readonly exportMs: number;
  readonly backupMs: number;
  readonly bytes: number;
  /** Bindings pushed to agents. */
  readonly pushed: number;
  readonly idle: Waits;
  readonly during: Waits;
  /** What was left of moving the import to its tables, behind its answer. */
  readonly moveMs: number;
  readonly moving: Waits;
  readonly exporting: Waits;
  readonly backingUp: Waits;
  /** p99 of a GET, import : idle. */
  readonly ratio: number;
  readonly rssBeforeMib: number;
  readonly rssPeakMib: number;
  /** Of a process that has only loaded the imported inventory. */
  readonly rssLoadedMib: number;
  /** The increase of that process during one export to a slow reader. */
  readonly rssExportMib: number;
}

const everyMs = 10;
/** VMs of a host at most: a fourth of what is allowed. */
const vmsPerHost = 1_000;
/** How long rows are inserted, before and after, ms. */
const rawMs = 2_000;

export async function importBench(options: ImportOptions, progress: Progress): Promise<ImportResult> {
  const controller = await BenchController.start();
  const agents: BenchAgent[] = [];
  const directory = mkdtempSync(join(tmpdir(), "nearmiss-bench-"));
  const hosts = Math.max(options.agents, Math.ceil(options.vms / vmsPerHost));
  try {
    // Agents are not heard while it is made.
    const body = Buffer.concat([...joined(fleetLines({ vms: options.vms, hosts }, options.agents))]);
    progress("connecting agents");
    await call(controller.base, "PUT", "/v1/networks/probe", { vni: 1, subnets: ["10.255.0.0/16"] });
    for (let n = 0; n < options.agents; n++) {
      await call(controller.base, "PUT", `/v1/hosts/${hostName(n)}`, { vtep: vtepOf(n) });
      agents.push(await BenchAgent.connect(controller.base, hostName(n)));
    }
    for (const n of [0, 1]) {
      const interfaces = [{ network: "probe", mac: `52:54:ff:00:00:0${n}`, ips: [`10.255.0.${n + 1}`] }];
      await call(controller.base, "PUT", `/v1/vms/probe-${n}`, { host: hostName(n), interfaces });
    }
    const rssBeforeMib = controller.peakRssMib();
    progress("in peace");
    const idle = await waitsDuring(
      controller,
      agents,
      () => new Promise((resolve) => setTimeout(resolve, options.seconds * 1_000)),
    );
    const raw = [await insertRaw(join(directory, "raw.db"), rawMs)];
    progress(`importing ${options.vms} VMs`);
    const during = await waitsDuring(controller, agents, () => controller.import(body));
    raw.push(await insertRaw(join(directory, "raw.db"), rawMs));
    progress("moving it to the tables of the database");
    const moving = await waitsDuring(controller, agents, () => controller.tablesFollow());
    progress("exporting");
    const exporting = await waitsDuring(controller, agents, async () => {
      const response = await fetch(`http://${controller.base}/v1/export`);
      for await (const _chunk of response.body ?? []);
    });
    const rssPeakMib = controller.peakRssMib();
    progress("backing up");
    const backup = await waitsDuring(controller, agents, () => controller.backUp());
    progress("restarting");
    const pushed = agents.reduce((sum, agent) => sum + agent.pushed, 0);
    for (const agent of agents.splice(0)) agent.close();
    await controller.restart("SIGTERM");
    const rssLoadedMib = controller.peakRssMib();
    progress("exporting slowly");
    await readSlowly(`http://${controller.base}/v1/export`);
    const rawPerSecond = Math.round((sumOf(raw) / raw.length) * 10) / 10;
    const toRaw = toThousandths(((options.vms / during.tookMs) * 1_000) / rawPerSecond);
    return {
      ...options,
      hosts,
      rawPerSecond,
      toRaw,
      missed: missedOf([
        {
          what: "the import : rows of SQLite with a full fsync each, by time",
          ratio: toRaw,
          least: options.bounds.raw,
        },
        {
          what: "the resident set beyond that of a process that has only loaded the same",
          ratio: rssPeakMib - rssLoadedMib,
          most: options.bounds.mib,
          format: (mib) => `${mib} MiB`,
        },
        {
          what: "p99 of a GET during the import",
          ratio: during.waits.get.p99Ms,
          most: options.bounds.ms,
          format: formatMs,
        },
      ]),
      importMs: during.tookMs,
      exportMs: exporting.tookMs,
      backupMs: backup.tookMs,
      bytes: body.length,
      pushed,
      idle: idle.waits,
      during: during.waits,
      moveMs: moving.tookMs,
      moving: moving.waits,
      exporting: exporting.waits,
      backingUp: backup.waits,
      ratio: toThousandths(during.waits.get.p99Ms / idle.waits.get.p99Ms),
      rssBeforeMib,
      rssPeakMib,
      rssLoadedMib,
      rssExportMib: controller.peakRssMib() - rssLoadedMib,
    };
  } finally {
    for (const agent of agents) agent.close();
    await controller.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

const sumOf = (numbers: readonly number[]): number => numbers.reduce((sum, each) => sum + each, 0);

/** A million lines as one list of texts would take more memory than the controller. */
function* joined(lines: Iterable<string>): Generator<Buffer> {
  let part = "";
  for (const line of lines) {
    part += line;
    if (part.length < 1_048_576) continue;
    yield Buffer.from(part);
    part = "";
  }
  yield Buffer.from(part);
}

async function waitsDuring(
  controller: BenchController,
  [agent]: readonly BenchAgent[],
  work: () => Promise<unknown>,
): Promise<{ waits: Waits; tookMs: number }> {
  const gets: number[] = [];
  const resolves: number[] = [];
  const posts: number[] = [];
  const pending = new Set<Promise<unknown>>();
  const connections = new Agent({ keepAlive: true });
  const time = async (into: number[], ask: () => Promise<unknown>) => {
    const startMs = performance.now();
    await ask();
    into.push(performance.now() - startMs);
  };
  await controller.lagMs();
  const timer = every(everyMs, () => {
    const question = { kind: "ip", vni: parseVni(1), ip: parseIp("10.255.0.2") } as const;
    const asked = [time(gets, () => get(connections, `http://${controller.base}/v1/vms/probe-1`))];
    if (agent) asked.push(time(resolves, () => agent.resolve(question)));
    for (const each of asked) {
      pending.add(each);
      void each.finally(() => pending.delete(each)).catch(() => {});
    }
  });
  let isOver = false;
  let refused = 0;
  const write = async (request: Parameters<typeof ask>[0]) => {
    if ((await ask(request)).status === 503) refused += 1;
  };
  const posting = (async () => {
    while (!isOver) {
      // Also where it is answered that an import is being carried out.
      const body = { name: "probe-2", host: hostName(0), interfaces: [] };
      await time(posts, () => write({ url: `${controller.url}/v1/vms`, body }));
      await time(posts, () => write({ url: `${controller.url}/v1/vms/probe-2`, method: "DELETE" }));
      await pause(everyMs);
    }
  })();
  const startMs = performance.now();
  await work();
  const tookMs = Math.round(performance.now() - startMs);
  timer.stop();
  isOver = true;
  await Promise.all([...pending, posting]);
  connections.destroy();
  const { max: maxLagMs } = await controller.lagMs();
  return {
    tookMs,
    waits: { get: distribution(gets), resolve: distribution(resolves), post: distribution(posts), refused, maxLagMs },
  };
}

function get(agent: Agent, url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const call = request(url, { agent }, (response) => {
      response.resume().once("end", resolve).once("error", reject);
    });
    call.once("error", reject).end();
  });
}

/** A reader that keeps the writer waiting most of the time. */
async function readSlowly(url: string): Promise<void> {
  const response = await fetch(url);
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes < 1_048_576) continue;
    bytes = 0;
    await pause(100);
  }
}

async function call(base: string, method: string, path: string, body: object): Promise<void> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`http://${base}${path}`, { method, headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  await response.arrayBuffer();
}
