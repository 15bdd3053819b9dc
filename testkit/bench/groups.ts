// Work on many items, a few at a time: each runs processes, and the machine has few processors.

export async function inGroups<T, R>(
  items: readonly T[],
  size: number,
  work: (item: T, at: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += size) {
    const group = items.slice(at, at + size);
    const settled = await Promise.allSettled(group.map((item, i) => work(item, at + i)));
    // Only when none runs any more: the clean-up after a failure must not find them.
    for (const each of settled) {
      if (each.status === "rejected") throw each.reason;
      results.push(each.value);
    }
  }
  return results;
}
