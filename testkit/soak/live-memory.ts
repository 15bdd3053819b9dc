// Loaded into a program before it starts (`node --import`): on SIGWINCH it logs its live memory. Resident memory does
// not show within minutes whether something leaks: V8 lets a young heap grow before it looks for garbage, and keeps
// freed memory. The memory after a collection does show it. Of the main thread: no signal reaches the others.
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { liveMemoryMessage } from "./usage.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

process.on("SIGWINCH", () => {
  collect();
  // Memory of objects outside of the heap, such as buffers, counts too.
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
  process.stderr.write(`${JSON.stringify({ msg: liveMemoryMessage, bytes: heap + external })}\n`);
});
