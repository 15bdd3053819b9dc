/** Results that are kept; then all are dropped. */
const maxKept = 4_096;

/** The same few texts come again and again. @returns `make`, which is not called twice for what came lately; it must be pure */
export function remember<Key, Value>(make: (key: Key) => Value): (key: Key) => Value {
  const kept = new Map<Key, Value>();
  return (key) => {
    const known = kept.get(key);
    if (known !== undefined) return known;
    const made = make(key);
    if (kept.size >= maxKept) kept.clear();
    kept.set(key, made);
    return made;
  };
}
