// The result of `reconcile` for people. Pure.
import { formatMs, formatRatio, table } from "../table.ts";
import type { Cost, OwnCost, ReconcileResult } from "./bench.ts";

export function reportReconcile(result: ReconcileResult): string {
  const row = (name: string, { wallMs, cpuMs }: Cost, block = ""): string[] => [
    name,
    formatMs(wallMs),
    formatMs(cpuMs),
    block,
  ];
  const ownRow = (name: string, cost: OwnCost): string[] => row(name, cost, formatMs(cost.blockMs));
  const { entries, kernelEntries, rounds, ratio, blocked } = result;
  return [
    `\n${entries.toLocaleString("en")} cached VMs, ${kernelEntries.toLocaleString("en")} entries in the kernel, ${rounds} rounds\n\n`,
    table(
      ["medians", "wall", "CPU", "longest wait of a miss"],
      [
        ownRow("reconcile, nothing to repair", result.reconcile),
        row("ip neigh show + bridge fdb show", result.dump),
        ownRow(`reconcile, ${result.repaired.toLocaleString("en")} neighbours erased`, result.repair),
      ],
    ),
    `\n  reconcile : show   wall ${formatRatio(ratio.wallMs)}, CPU ${formatRatio(ratio.cpuMs)}\n`,
    `  longest wait of a miss : the whole   ${formatRatio(blocked.reconcile)}, with neighbours erased ${formatRatio(blocked.repair)}\n`,
  ].join("");
}
