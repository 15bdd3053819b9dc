// Which VMs a host's guests talk to: few of them often, most of them seldom, and not the same ones for ever. Pure.

/** Ranks 0 … size - 1, of which rank r is drawn in proportion to 1 / (r + 1). */
export class Zipf {
  /** Sums of the weights up to each rank. */
  private readonly sums: Float64Array;

  constructor(readonly size: number) {
    this.sums = new Float64Array(size);
    let sum = 0;
    for (let rank = 0; rank < size; rank++) this.sums[rank] = sum += 1 / (rank + 1);
  }

  /** @param random in [0, 1) */
  rank(random: number): number {
    const wanted = random * (this.sums[this.size - 1] ?? 0);
    let [low, high] = [0, this.size - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.sums[middle] ?? 0) > wanted) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** The VM of a rank when popularity has moved on by `shift` VMs: the first is gone from the top, the others have risen. */
export function vmOfRank(rank: number, shift: number, size: number): number {
  return (rank + shift) % size;
}

/** When each VM was last used, and how many of them lately. */
export class Uses {
  private readonly atMs = new Map<number, number>();

  use(vm: number, nowMs: number): void {
    this.atMs.delete(vm);
    this.atMs.set(vm, nowMs);
  }

  /** Used since then. */
  since(ms: number): number {
    for (const [vm, atMs] of this.atMs) {
      if (atMs >= ms) break;
      this.atMs.delete(vm);
    }
    return this.atMs.size;
  }
}
