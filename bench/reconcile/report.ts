// The result of `reconcile` for people. Pure.
import { formatMs, formatRatio, table } from "../table.ts";
import type { Cost, ReconcileResult } from "./bench.ts";

export function reportReconcile(result: ReconcileResult): string {
  const row = (name: string, { wallMs, cpuMs }: Cost): string[] => [name, formatMs(wallMs), formatMs(cpuMs)];
  const { entries, kernelEntries, rounds, ratio } = result;
  return [
    `\n${entries.toLocaleString("en")} VMs held, ${kernelEntries.toLocaleString("en")} entries in the kernel, ${rounds} rounds\n\n`,
    table(
      ["medians", "wall", "CPU"],
      [
        row("reconcile, nothing to mend", result.reconcile),
        row("ip neigh show + bridge fdb show", result.dump),
        row(`reconcile, ${result.repaired.toLocaleString("en")} neighbours erased`, result.repair),
      ],
    ),
    `\n  reconcile : show   wall ${formatRatio(ratio.wallMs)}, CPU ${formatRatio(ratio.cpuMs)}\n`,
    `  a miss that comes meanwhile waits for ${formatMs(result.blockMs)} at most (median of the rounds)\n`,
  ].join("");
}
