// Random operations on five hosts for the requested time, with continuous checks of all invariants.
import { Scene } from "../fault/scene.ts";
import { builtFile } from "../lab/programs.ts";
import { waitUntil } from "../lab/wait.ts";
import { operations, pick, type World } from "./operations.ts";
import { type Growth, growthOf, leaksOf, type Usage, usageOf } from "./usage.ts";

export interface SoakResult {
  readonly minutes: number;
  /** How often each operation was done. */
  readonly operations: Readonly<Record<string, number>>;
  /** Times that every host's tables were compared with the inventory. */
  readonly comparisons: number;
  /** The longest time until they were equal, ms. */
  readonly slowestMs: number;
  readonly packets: { readonly sent: number; readonly lost: number };
  /** By process: first and last third of its life. */
  readonly growth: Readonly<Record<string, Growth>>;
  /** Violations; empty: passed. */
  readonly failures: readonly string[];
}

const hosts = 5;
/** Between two comparisons. */
const operationsAtOnce = 6;
const equalWithinMs = 15_000;
const pingIntervalMs = 50;

/** @param note receives the progress, after each comparison */
export async function soak(minutes: number, note: (text: string) => void): Promise<SoakResult> {
  const scene = await Scene.build({ hosts, preload: builtFile("testkit", "soak", "live-memory.js") });
  try {
    return await run(scene, minutes, note);
  } finally {
    await scene.remove();
  }
}

async function run(scene: Scene, minutes: number, note: (text: string) => void): Promise<SoakResult> {
  const startMs = performance.now();
  const share = (): number => (performance.now() - startMs) / (minutes * 60_000);
  const done = new Map(operations.map(({ name }) => [name, 0]));
  const vms = new Map<string, number>();
  const samples = new Map<string, Usage[]>();
  const failures: string[] = [];
  let comparisons = 0;
  let slowestMs = 0;
  const flows = scene.startFlows(pingIntervalMs);
  while (share() < 1 && failures.length === 0) {
    for (let i = 0; i < operationsAtOnce; i++) {
      const world: World = { scene, vms, mortal: ["a", "b", "c", "d"], controllerMortal: share() < 0.25 };
      const operation = pick(world);
      await operation.act(world);
      done.set(operation.name, (done.get(operation.name) ?? 0) + 1);
    }
    const tookMs = await untilEqual(scene).catch((error: Error) => {
      failures.push(error.message);
      return 0;
    });
    comparisons++;
    slowestMs = Math.max(slowestMs, tookMs);
    failures.push(...scene.takeLeaks());
    if (share() > 0.25) await sample(scene, samples);
    note(`${Math.min(100, Math.round(share() * 100))} %, ${comparisons} comparisons, ${vms.size} VMs`);
  }
  const packets = { sent: 0, lost: 0 };
  for (const { name, ping } of flows) {
    const { sent, lost } = await ping.stop();
    packets.sent += sent;
    packets.lost += lost.length;
    if (lost.length > 0) failures.push(`${name}: ${lost.length} of ${sent} packets lost`);
  }
  const growth = Object.fromEntries([...samples].map(([name, usages]) => [name, growthOf(usages)]));
  for (const [name, each] of Object.entries(growth)) {
    failures.push(...leaksOf(each, minutes).map((leak) => `${name}: ${leak}`));
  }
  return { minutes, operations: Object.fromEntries(done), comparisons, slowestMs, packets, growth, failures };
}

/** Every entry of every host matches the inventory. @returns ms @throws with the differences */
async function untilEqual(scene: Scene): Promise<number> {
  const startMs = performance.now();
  await scene.allConnected();
  await waitUntil(
    () => scene.deviations(new Map()),
    (wrong) => wrong.length === 0,
    { what: "all tables to equal the inventory (wrong are)", deadlineMs: equalWithinMs, everyMs: 20 },
  );
  return Math.round(performance.now() - startMs);
}

/** Of the programs that are no longer killed. */
async function sample(scene: Scene, samples: Map<string, Usage[]>): Promise<void> {
  for (const program of [scene.lab.controller, scene.host("e").agent]) {
    samples.set(program.name, [...(samples.get(program.name) ?? []), await usageOf(program)]);
  }
}
