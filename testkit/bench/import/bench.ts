// `import`: one import of many VMs into a controller with connected agents, and the latency of others during it: a GET and an
// agent's query every 10 ms, compared with an idle controller.
import { Agent, request } from "node:http";
import { every } from "../../../common/every.ts";
import { toThousandths } from "../../../common/round.ts";
import { parseIp, parseVni } from "../../../schema/address/index.ts";
import { pause } from "../../lab/wait.ts";
import { type Distribution, distribution } from "../../statistics.ts";
import { BenchController } from "../controller.ts";
import { fleetLines, hostName, vtepOf } from "../made-up-fleet.ts";
import type { Progress } from "../progress.ts";
import { BenchAgent } from "./agent.ts";

export interface ImportOptions {
  readonly vms: number;
  /** Each with an agent connected. */
  readonly hosts: number;
  /** How long others are watched in peace. */
  readonly seconds: number;
}

interface Waits {
  readonly get: Distribution;
  readonly resolve: Distribution;
  /** Longest that the controller's event loop was late, ms. */
  readonly maxLagMs: number;
}

export interface ImportResult extends ImportOptions {
  readonly importMs: number;
  readonly exportMs: number;
  readonly backupMs: number;
  readonly bytes: number;
  /** Bindings pushed to agents. */
  readonly pushed: number;
  readonly idle: Waits;
  readonly during: Waits;
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

export async function importBench(options: ImportOptions, progress: Progress): Promise<ImportResult> {
  const controller = await BenchController.start();
  const agents: BenchAgent[] = [];
  try {
    progress("connecting agents");
    await call(controller.base, "PUT", "/v1/networks/probe", { vni: 1, subnets: ["10.255.0.0/16"] });
    for (let n = 0; n < options.hosts; n++) {
      await call(controller.base, "PUT", `/v1/hosts/${hostName(n)}`, { vtep: vtepOf(n) });
      agents.push(await BenchAgent.connect(controller.base, hostName(n)));
    }
    for (const n of [0, 1]) {
      const interfaces = [{ network: "probe", mac: `52:54:ff:00:00:0${n}`, ips: [`10.255.0.${n + 1}`] }];
      await call(controller.base, "PUT", `/v1/vms/probe-${n}`, { host: hostName(n), interfaces });
    }
    const body = Buffer.from([...fleetLines(options, options.hosts)].join(""));
    const rssBeforeMib = controller.peakRssMib();
    progress("in peace");
    const idle = await waitsDuring(
      controller,
      agents,
      () => new Promise((resolve) => setTimeout(resolve, options.seconds * 1_000)),
    );
    progress(`importing ${options.vms} VMs`);
    const during = await waitsDuring(controller, agents, () => controller.import(body));
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
    return {
      ...options,
      importMs: during.tookMs,
      exportMs: exporting.tookMs,
      backupMs: backup.tookMs,
      bytes: body.length,
      pushed,
      idle: idle.waits,
      during: during.waits,
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
  }
}

async function waitsDuring(
  controller: BenchController,
  [agent]: readonly BenchAgent[],
  work: () => Promise<unknown>,
): Promise<{ waits: Waits; tookMs: number }> {
  const gets: number[] = [];
  const resolves: number[] = [];
  const pending: Promise<unknown>[] = [];
  const connections = new Agent({ keepAlive: true });
  const time = async (into: number[], ask: () => Promise<unknown>) => {
    const startMs = performance.now();
    await ask();
    into.push(performance.now() - startMs);
  };
  await controller.lagMs();
  const timer = every(everyMs, () => {
    pending.push(time(gets, () => get(connections, `http://${controller.base}/v1/vms/probe-1`)));
    const question = { kind: "ip", vni: parseVni(1), ip: parseIp("10.255.0.2") } as const;
    if (agent) pending.push(time(resolves, () => agent.resolve(question)));
  });
  const startMs = performance.now();
  await work();
  const tookMs = Math.round(performance.now() - startMs);
  timer.stop();
  await Promise.all(pending);
  connections.destroy();
  const { max: maxLagMs } = await controller.lagMs();
  return { tookMs, waits: { get: distribution(gets), resolve: distribution(resolves), maxLagMs } };
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
