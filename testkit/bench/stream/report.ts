// The result of `stream` for people. Pure.
import { formatMs, formatRatio, table } from "../table.ts";
import { keepsUp, type StreamResult, type StreamRound } from "./bench.ts";
import type { StreamSide } from "./side.ts";

export function reportStream({ consumers, seconds, bytesPerEvent, rounds }: StreamResult): string {
  const head = `\n${consumers} consumers, ${seconds} s, events of ${bytesPerEvent} bytes\n`;
  return [head, ...rounds.map(reportRound)].join("");
}

function reportRound(measured: StreamRound): string {
  const { rate, batch, nearmiss, bare, ratios } = measured;
  const sides: readonly (readonly [string, StreamSide])[] = [
    ["nearmiss", nearmiss],
    ["bare ws", bare],
  ];
  const rows = sides.map(([name, side]) => {
    const keeps = keepsUp(side);
    return [
      name,
      keeps ? "kept" : `only ${side.rate.toFixed(0)}`,
      `${(side.delivered * 100).toFixed(1)} %`,
      String(side.ended),
      keeps ? formatMs(side.medianMs) : "–",
      keeps ? formatMs(side.p99Ms) : "–",
      `${side.cpuSeconds.toFixed(1)} s`,
      `${((side.cpuSeconds * 1e6) / side.received).toFixed(2)} s`,
      `${side.restingRssMib} MiB`,
      `${side.peakRssMib} MiB`,
    ];
  });
  const head = ["", "events/s", "delivered", "cut off", "median", "p99", "CPU", "per million", "at rest", "peak"];
  const p99 = ratios.p99 === undefined ? "" : `p99 ${formatRatio(ratios.p99)}, `;
  return (
    `\n${rate} events/s asked for, ${batch} in one revision\n\n${table(head, rows)}\n  nearmiss : bare ws  ${p99}CPU per event ` +
    `${formatRatio(ratios.cpu)}, peak memory ${formatRatio(ratios.peak)}, above rest ${formatRatio(ratios.grown)}\n`
  );
}
