// Interruptible work: a generator yields wherever other work may run. The caller decides whether it does, so the same rule
// handles one VM at once and 100,000 in slices.

export type Steps<T> = Generator<void, T, void>;

/** Without interruption, for small work. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}
