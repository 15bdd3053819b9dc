// The result of `move` for people. Pure.
import type { Distribution } from "../../statistics.ts";
import { reportMissed } from "../bounds.ts";
import { formatMs, formatRatio, table } from "../table.ts";
import type { MoveResult } from "./bench.ts";
import { absentFrr } from "./frr.ts";

export function reportMove({ moves, sizes, spread, missed }: MoveResult): string {
  const times = (side: Distribution | null): string[] =>
    side ? [side.medianMs, side.p99Ms, side.maxMs].map(formatMs) : [absentFrr];
  const rows = sizes.flatMap(({ agents, nearmiss, frr, ratio }) => [
    ["nearmiss", agents.toLocaleString("en"), ...times(nearmiss)],
    ["FRR EVPN, in turns", "", ...times(frr), ...(ratio === null ? [] : [formatRatio(ratio)])],
  ]);
  return [
    `\n${moves} moves of each, from the request (FRR: the VM's announcement) to the entry in a third host's kernel\n\n`,
    table(["", "agents beside", "median", "p99", "longest", "FRR : nearmiss"], rows),
    ...(spread === null ? [] : [`\n  median, slowest number of agents : fastest   ${formatRatio(spread)}\n`]),
    reportMissed(missed),
  ].join("");
}
