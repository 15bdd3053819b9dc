// Runs one fault while guests communicate, and checks all invariants.
import { waitFor } from "../lab/wait.ts";
import { untilEqual } from "./equal.ts";
import type { Fault, FaultResult, Size } from "./fault.ts";
import type { Flow, Scene } from "./scene.ts";

const equalWithinMs = 5_000;
/** Answers that each flow must get before and after: it runs. */
const someAnswers = 5;

export async function runFault(scene: Scene, fault: Fault, size: Size): Promise<FaultResult> {
  const failures: string[] = [];
  const remarks: string[] = [];
  const attempt = async (work: () => Promise<unknown>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  };
  const flows = scene.startFlows(size.pingIntervalMs);
  let equalMs: number | null = null;
  await attempt(async () => {
    await flowing(flows);
    const held = new Map([...(await scene.held())].filter(([host]) => !fault.restarts?.includes(host)));
    remarks.push(...(await fault.act(scene, size)));
    equalMs = await untilEqual(scene, held, fault.equalWithinMs ?? equalWithinMs);
    await flowing(flows);
    failures.push(...(await scene.deviations(held)).slice(0, 5));
  });
  const loss = { sent: 0, lost: 0, longestGapMs: 0 };
  for (const { name, ping } of flows) {
    await attempt(async () => {
      const { sent, lost } = await ping.stop();
      const gapMs = longestRun(lost) * size.pingIntervalMs;
      loss.sent += sent;
      loss.lost += lost.length;
      loss.longestGapMs = Math.max(loss.longestGapMs, gapMs);
      if (gapMs > (fault.mayLose?.forMs ?? 0))
        failures.push(`${name}: ${lost.length} packets lost, ${gapMs} ms on end`);
    });
  }
  failures.push(...scene.takeLeaks());
  await attempt(async () => fault.tidy?.(scene));
  return { fault: fault.name, ...loss, equalMs, remarks, failures };
}

async function flowing(flows: readonly Flow[]): Promise<void> {
  for (const { name, ping } of flows) {
    const before = ping.received();
    await waitFor(() => ping.received() >= before + someAnswers, {
      what: `${name} to get answers`,
      everyMs: 20,
    });
  }
}

/** How many of these numbers follow each other at most. */
function longestRun(numbers: readonly number[]): number {
  let longest = 0;
  let run = 0;
  numbers.forEach((each, i) => {
    run = numbers[i - 1] === each - 1 ? run + 1 : 1;
    longest = Math.max(longest, run);
  });
  return longest;
}
