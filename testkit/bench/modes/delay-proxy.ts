// The delayed way as a process of its own, so that it takes no turn of the event loop of what is measured.
//   node delay-proxy.js <a `DelayedWay` as JSON>   writes a line when it accepts connections
import { type DelayedWay, openDelayedWay } from "./delayed-way.ts";

await openDelayedWay(JSON.parse(process.argv[2] ?? "{}") as DelayedWay);
process.stdout.write("listening\n");
