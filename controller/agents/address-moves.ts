// How often addresses move between guests, and which of them may not move any more until an operator says so. Pure; time is an argument.

/** Two guests that do not hear each other both announce an address, again and again: each time all hosts that use it have to switch. */
export const flapping = { moves: 5, withinMs: 180_000 } as const;

/** Addresses that moved lately. Of each only a few times are kept; one that has rested is dropped when there are more. */
const maxRested = 1_024;

interface Moves {
  /** Of the last moves, oldest first. */
  readonly atMs: readonly number[];
  readonly isFrozen: boolean;
}

export class AddressMoves {
  private readonly byAddress = new Map<string, Moves>();

  /** @param address of a network, in any form that names it */
  isFrozen(address: string): boolean {
    return this.byAddress.get(address)?.isFrozen ?? false;
  }

  lastMoveMs(address: string): number | undefined {
    return this.byAddress.get(address)?.atMs.at(-1);
  }

  /** It has another guest now. @returns whether that was the last move for a while */
  moved(address: string, nowMs: number): boolean {
    const before = this.byAddress.get(address)?.atMs ?? [];
    const atMs = [...before, nowMs].slice(-flapping.moves);
    const [first = nowMs] = atMs;
    const isFrozen = atMs.length === flapping.moves && nowMs - first <= flapping.withinMs;
    this.byAddress.delete(address);
    this.byAddress.set(address, { atMs, isFrozen });
    if (this.byAddress.size > maxRested) this.dropRested(nowMs);
    return isFrozen;
  }

  /** @returns whether it was frozen */
  thaw(address: string): boolean {
    const found = this.byAddress.get(address);
    if (!found?.isFrozen) return false;
    this.byAddress.delete(address);
    return true;
  }

  frozen(): string[] {
    return [...this.byAddress].flatMap(([address, { isFrozen }]) => (isFrozen ? [address] : []));
  }

  private dropRested(nowMs: number): void {
    for (const [address, { atMs, isFrozen }] of this.byAddress)
      if (!isFrozen && nowMs - (atMs.at(-1) ?? 0) > flapping.withinMs) this.byAddress.delete(address);
  }
}
