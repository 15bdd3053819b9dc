// One fault after the other in one scene; a scene in which a fault has failed is not used again.
import type { Fault, FaultResult, Size } from "./fault.ts";
import { runFault } from "./run.ts";
import { Scene } from "./scene.ts";

export class Lane {
  private scene: Scene | undefined;
  private last: Promise<unknown> = Promise.resolve();

  constructor(private readonly size: Size) {}

  run(fault: Fault): Promise<FaultResult> {
    const result = this.last.then(() => this.runNow(fault));
    this.last = result.catch(() => {});
    return result;
  }

  /** Waits for the fault that runs, then removes the scene. */
  async close(): Promise<void> {
    await this.last;
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
