// The agents of agents.ts in their thread, and the wait until all of them are in sync.
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { waitUntil } from "../../lab/wait.ts";
import type { Progress } from "../progress.ts";
import type { AgentsData, AgentsReport } from "./agents.ts";

const deadlineMs = 300_000;

export class Crowd {
  private readonly worker: Worker;

  constructor(private readonly data: AgentsData) {
    this.worker = new Worker(new URL("./agents.js", import.meta.url), { workerData: data });
  }

  /** @returns all reports until then @throws WaitError */
  async allInSync(progress: Progress): Promise<AgentsReport[]> {
    const { hosts } = this.data;
    const reports: AgentsReport[] = [];
    await waitUntil(
      async () => {
        const report = await this.look();
        reports.push(report);
        progress(`${report.inSync} of ${hosts} agents in sync`);
        return report.inSync;
      },
      (inSync) => inSync === hosts,
      { what: `${hosts} agents to be in sync`, deadlineMs, everyMs: 100 },
    );
    return reports;
  }

  async end(): Promise<void> {
    await this.worker.terminate();
  }

  private async look(): Promise<AgentsReport> {
    const message = once(this.worker, "message");
    this.worker.postMessage("report");
    const [report] = (await message) as [AgentsReport];
    return report;
  }
}
