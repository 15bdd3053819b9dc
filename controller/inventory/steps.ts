// Work that can be interrupted: a generator yields wherever somebody else may have a turn. Who runs it decides whether
// anybody gets one, so the same rule serves one VM at once and 100,000 in slices.

export type Steps<T> = Generator<void, T, void>;

/** Without a break, for what is small. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}
