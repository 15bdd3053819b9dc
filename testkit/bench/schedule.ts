// The order of trials: modes interleaved, so that other work of the machine affects all of them alike. Pure.

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
