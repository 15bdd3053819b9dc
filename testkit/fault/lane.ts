// One fault after the other in one scene; a scene in which a fault has failed is not used again.
import { SerialQueue } from "../../common/serial-queue.ts";
import type { Fault, FaultResult, Size } from "./fault.ts";
import { runFault } from "./run.ts";
import { Scene } from "./scene.ts";

export class Lane {
  private scene: Scene | undefined;
  private readonly queue = new SerialQueue();

  constructor(private readonly size: Size) {}

  run(fault: Fault): Promise<FaultResult> {
    return this.queue.run(() => this.runNow(fault));
  }

  /** Waits for the fault that runs, then removes the scene. */
  async close(): Promise<void> {
    await this.queue.idle;
    await this.leave();
  }

  private async runNow(fault: Fault): Promise<FaultResult> {
    if (fault.fresh) await this.leave();
    this.scene ??= await Scene.build();
    const result = await runFault(this.scene, fault, this.size);
    if (result.failures.length > 0) await this.leave();
    return result;
  }

  private async leave(): Promise<void> {
    await this.scene?.remove();
    this.scene = undefined;
  }
}
