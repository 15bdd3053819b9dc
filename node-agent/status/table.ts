// Columns of text for a terminal. Widths are counted in characters: all here have width one.

export interface Column {
  readonly title: string;
  readonly right?: true;
}

/** Titles and rows, two spaces between columns, nothing at the ends of lines. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[], indent = ""): string[] {
  const widths = columns.map(({ title }, i) => Math.max(title.length, ...rows.map((row) => (row[i] ?? "").length)));
  const line = (cells: readonly string[]): string =>
    indent +
    columns
      .map(({ right }, i) => {
        const cell = cells[i] ?? "";
        return right ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0);
      })
      .join("  ")
      .trimEnd();
  return [line(columns.map(({ title }) => title)), ...rows.map(line)];
}

/** A duration for people: 850 ms, 12 s, 3 min, 5 h, 2 d. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const steps = [
    [60_000, 1_000, "s"],
    [3_600_000, 60_000, "min"],
    [86_400_000, 3_600_000, "h"],
  ] as const;
  for (const [below, unitMs, unit] of steps) if (ms < below) return `${Math.floor(ms / unitMs)} ${unit}`;
  return `${Math.floor(ms / 86_400_000)} d`;
}
