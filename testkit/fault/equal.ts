// Waits until every host's entries match the inventory.
import type { Held, Scene } from "./scene.ts";

/** @returns ms. @throws Error with the remaining differences */
export async function untilEqual(scene: Scene, held: Held, deadlineMs: number): Promise<number> {
  const startMs = performance.now();
  let wrong: string[] = [];
  while (true) {
    const lookedMs = performance.now();
    try {
      wrong = await scene.deviations(held);
    } catch (error) {
      wrong = [`no comparison: ${error instanceof Error ? error.message : error}`];
    }
    if (wrong.length === 0) return Math.round(lookedMs - startMs);
    if (performance.now() - startMs > deadlineMs) {
      throw new Error(`not equal after ${deadlineMs} ms: ${wrong.length} deviations, ${wrong.slice(0, 3).join("; ")}`);
    }
  }
}
