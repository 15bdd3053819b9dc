// In which order trials run: modes interleaved, so that whatever else the machine does strikes all of them alike. Pure.

/** Each item as often as it says, in random order (Fisher-Yates). */
export function interleave<T>(items: readonly { item: T; times: number }[], random: () => number): T[] {
  const all = items.flatMap(({ item, times }) => Array.from({ length: times }, () => item));
  for (let i = all.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const [a, b] = [all[i], all[j]];
    if (a !== undefined && b !== undefined) [all[i], all[j]] = [b, a];
  }
  return all;
}
