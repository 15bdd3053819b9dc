// The result of `host-state` for people. Pure.
import { reportMissed } from "../bounds.ts";
import { formatRatio, table } from "../table.ts";
import type { HostStateResult } from "./bench.ts";

export function reportHostState({ idle, rate, drift, sizes, missed }: HostStateResult): string {
  const count = (value: number): string => value.toLocaleString("en");
  const rows = sizes.map(({ vms, answers, used, entries, ratio }) => [
    count(vms),
    count(answers),
    count(used),
    count(entries),
    formatRatio(ratio.median),
    formatRatio(ratio.max),
  ]);
  return [
    `\n${count(rate)} packets a second to VMs drawn by Zipf's law, an idle timeout of ${idle} s, in which popularity moves on by `,
    `${count(drift)} VMs; three timeouts, of which the first is not counted\n\n`,
    table(["registered VMs", "answers", "used within it", "kernel entries", "entries : used", "at worst"], rows),
    reportMissed(missed),
  ].join("");
}
