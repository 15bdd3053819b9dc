// The result of `lookup` for people. Pure.
import { reportMissed } from "../bounds.ts";
import { absentCompiler } from "../native/native.ts";
import { formatMs, formatRatio, table } from "../table.ts";
import type { LookupResult, SizeResult } from "./bench.ts";
import { askingHosts } from "./inventory.ts";

export function reportLookup({ rounds, turn, perFrame, sizes, missed }: LookupResult): string {
  const names = {
    many: `look-ups, ${perFrame} a frame`,
    one: "look-ups, one a frame",
    ws: "bare ws echo",
    native: "C epoll echo",
    get: "GET /v1/resolve",
    stock: "stock Fastify GET",
  } as const;
  const size = ({ vms, sides }: SizeResult) =>
    Object.entries(names).map(([name, text]) => {
      const side = sides[name as keyof typeof names];
      const cells = side
        ? [side.perCpuSecond, side.perSecond].map((value) => Math.round(value).toLocaleString("en"))
        : [absentCompiler, ""];
      return [text, vms.toLocaleString("en"), ...cells, ...(side ? [side.medianMs, side.p99Ms].map(formatMs) : [])];
    });
  const ratios = table(
    ["per CPU second", ...sizes.map(({ vms }) => `${vms.toLocaleString("en")} VMs`)],
    [
      [`${names.many} : ${names.stock}`, ...sizes.map(({ ratios }) => formatRatio(ratios.manyToStock))],
      [`${names.one} : ${names.ws}`, ...sizes.map(({ ratios }) => formatRatio(ratios.oneToWs))],
      [`${names.one} : ${names.native}`, ...sizes.map(({ ratios }) => formatRatio(ratios.oneToNative))],
      [`${names.get} : ${names.stock}`, ...sizes.map(({ ratios }) => formatRatio(ratios.getToStock))],
    ],
  );
  const head = ["", "VMs", "per CPU second", "a second", "median", "p99"];
  return [
    `\n${askingHosts} hosts or clients that ask again when they are answered, ${rounds} rounds of ${turn} ms each, medians\n\n`,
    table(head, sizes.flatMap(size)),
    `\n${ratios}`,
    reportMissed(missed),
  ].join("");
}
