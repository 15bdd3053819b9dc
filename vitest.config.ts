import "./schema/supported-node.ts";
import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { patienceMs } from "./testkit/lab/wait.ts";

// Deadlines are for what hangs, not for a busy machine.
const deadlines = { testTimeout: 240_000, hookTimeout: 240_000, expect: { poll: { timeout: patienceMs } } };
/** Made when asked for: `npm run screenshots:readme`. */
const pictures = process.env.NEARMISS_README_PICTURES ? ["test/browser/readme.pictures.ts"] : [];
/** Run by `npm run test:real`: they take programs that are heavy to install. */
const real = process.env.NEARMISS_REAL ? ["test/real/**/*.test.ts"] : [];
const alone = ["test/kernel/fault.test.ts", "test/kernel/lab.test.ts"];

export default defineConfig({
  test: {
    // `netlink` aborts the process when a worker thread ends with an open socket: forks only.
    pool: "forks",
    // A fork keeps what it has imported for the files that follow: loading it anew for each was a third of the CPU time.
    isolate: false,
    // CommonJS packages are imported as Node imports them.
    deps: { interopDefault: false },
    // `npm run coverage`. What tests start as processes runs from dist/ and is not counted.
    coverage: {
      provider: "v8",
      include: ["{bin,cli,common,controller,dashboard,node-agent,schema}/**/*.{ts,tsx}"],
      exclude: ["dashboard/vite.config.ts"],
      reporter: ["text-summary", "html", "lcovonly"],
    },
    // One group after the other.
    projects: [
      {
        extends: true,
        test: {
          name: "fast",
          include: ["test/{unit,property,contract,integration,abuse,docs}/**/*.test.ts"],
          // One more than there are cores: there is always one that waits.
          maxWorkers: availableParallelism() + 1,
          sequence: { groupOrder: 0 },
          ...deadlines,
        },
      },
      // They mostly wait, and have namespaces of their own. No more than two at once: the kernel has one lock for all links.
      {
        extends: true,
        test: {
          name: "kernel",
          include: ["test/kernel/**/*.test.ts"],
          exclude: alone,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
          ...deadlines,
        },
      },
      {
        extends: true,
        test: {
          name: "browser",
          include: ["test/browser/**/*.test.ts", ...pictures],
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
          ...deadlines,
        },
      },
      {
        extends: true,
        test: { name: "real", include: real, maxWorkers: 1, sequence: { groupOrder: 3 }, ...deadlines },
      },
      // One of the faults fills the neighbour table, which the kernel has one of for all namespaces; others count lost packets
      // while 50,000 misses a second come in. The lab's tests compare the machine before and after.
      {
        extends: true,
        test: { name: "alone", include: alone, maxWorkers: 1, sequence: { groupOrder: 2 }, ...deadlines },
      },
    ],
  },
});
