// The result of `failover` for people. Pure.
import { formatMs, table } from "../table.ts";
import type { FailoverResult } from "./bench.ts";

const names = { nearmiss: "guests of three hosts", bridge: "on one plain bridge" } as const;

export function reportFailover({ rows, missed, advert }: FailoverResult): string {
  const lines = rows.map(({ side, kind, gaps }) => [
    names[side],
    kind,
    String(gaps.trials),
    formatMs(gaps.medianMs),
    formatMs(gaps.p99Ms),
    formatMs(gaps.maxMs),
  ]);
  const head = ["", "failover", "gaps", "median", "p99", "longest"];
  const text = `Gaps of an address of keepalived with an advertisement every ${advert} ms, IPv4 and IPv6\n\n${table(head, lines)}`;
  return missed.length === 0 ? text : `${text}\n${missed.map((each) => `  Missed: ${each}\n`).join("")}`;
}
