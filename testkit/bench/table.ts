// Plain tables for people. Pure.

/** Columns as wide as their widest cell; the first is aligned left, all others right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) =>
      line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join("   "),
    )
    .map((line) => `  ${line.trimEnd()}\n`)
    .join("");
}

/** 0.123, 1.93, 14.4, 2,041: about three digits that mean something. */
export function formatMs(ms: number): string {
  const digits = ms < 1 ? 3 : ms < 10 ? 2 : ms < 100 ? 1 : 0;
  return `${ms.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })} ms`;
}

/** 2.53 ×, 18 ×, 1,960 ×; – where there is nothing to compare. */
export function formatRatio(ratio: number | null): string {
  if (ratio === null) return "–";
  const digits = ratio < 10 ? 2 : ratio < 100 ? 1 : 0;
  return `${ratio.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })} ×`;
}

export function formatShare(part: number, whole: number): string {
  return `${((100 * part) / whole).toLocaleString("en", { maximumFractionDigits: 1 })} %`;
}

/** 0.87 %: of numbers that are percent already. */
export function formatPercent(percent: number): string {
  return `${percent.toLocaleString("en", { maximumFractionDigits: 2 })} %`;
}
