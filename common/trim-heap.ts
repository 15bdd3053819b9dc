// Gives back what loading a program has taken: garbage, and the room of V8's new objects, which grows to its limit during that. (docs/adr/0249)
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Collecting it all takes 5 to 10 ms for each MiB: a larger heap is full of what is needed. */
const defaultMaxBytes = 96 * 1024 * 1024;

/** Blocks the process for up to 0.2 s, so call it before anything is served. @param maxBytes nothing is done where more is used */
export function trimHeap(maxBytes = defaultMaxBytes): void {
  if (getHeapStatistics().used_heap_size > maxBytes) return;
  // Node exposes it to contexts that are made while the flag is set.
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as NodeJS.GCFunction;
  setFlagsFromString("--no-expose-gc");
  // Less does not give back the room of new objects.
  collect({ type: "major", execution: "sync", flavor: "last-resort" });
}
