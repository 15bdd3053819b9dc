// One import is carried out at a time, since each has a change set in memory. The others wait with their bodies
// spooled, and callers alternate, so that many imports of one caller do not delay those of another.
export class ImportTurns {
  private readonly waiting: { readonly caller: string; readonly start: () => void }[] = [];
  private isRunning = false;
  private last: string | undefined;

  /** Resolves when it is the caller's turn. @returns a callback that ends the turn */
  async take(caller: string): Promise<() => void> {
    if (this.isRunning) await new Promise<void>((start) => this.waiting.push({ caller, start }));
    this.isRunning = true;
    this.last = caller;
    return () => this.next();
  }

  private next(): void {
    const other = this.waiting.findIndex(({ caller }) => caller !== this.last);
    const [following] = this.waiting.splice(Math.max(other, 0), 1);
    if (following) following.start();
    else this.isRunning = false;
  }
}
