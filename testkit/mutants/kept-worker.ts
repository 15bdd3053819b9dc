// The process of kept-process.ts: Vitest's worker, which starts anew for each mutant in the same process, with its modules loaded.
import { init, runBaseTests, setupEnvironment } from "vitest/worker";

type Listener = (message: { readonly type?: string }) => void;

/** The worker's own, then that of the present run's calls to Vitest. */
const listeners: Listener[] = [];

process.on("message", (message: { readonly type?: string }) => {
  if (message.type === "start") listeners.splice(1);
  for (const listener of [...listeners]) listener(message);
});
process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));

init({
  post: (message) => process.send?.(message),
  on: (listener) => void listeners.push(listener),
  off: (listener) => {
    const at = listeners.indexOf(listener);
    if (at >= 0) listeners.splice(at, 1);
  },
  runTests: (state, traces) => runBaseTests("run", state, traces),
  collectTests: (state, traces) => runBaseTests("collect", state, traces),
  setup: setupEnvironment,
});
