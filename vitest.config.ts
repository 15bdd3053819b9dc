import { defineConfig } from "vitest/config";

// `netlink` aborts the process when a worker thread ends with an open socket: forks only.
// Kernel tests share one machine's kernel, so their files run one after the other.
export default defineConfig({
  test: {
    pool: "forks",
    // CommonJS packages are imported as Node imports them.
    deps: { interopDefault: false },
    projects: [
      {
        extends: true,
        test: {
          name: "fast",
          include: ["test/{unit,property,contract,integration,abuse,docs}/**/*.test.ts"],
          // Deadlines are for what hangs, not for a busy machine.
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: "kernel",
          include: ["test/kernel/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: "browser",
          include: ["test/browser/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
