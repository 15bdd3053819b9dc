// One large import is carried out at a time, since it takes memory and time, and one small one beside it: a few lines do not wait for a
// million. The others wait with their bodies spooled, and callers alternate, so that many imports of one caller do not delay those of another.
class Lane {
  private readonly waiting: { readonly caller: string; readonly start: () => void }[] = [];
  private isRunning = false;
  private last: string | undefined;

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

export class ImportTurns {
  private readonly small = new Lane();
  private readonly large = new Lane();

  /** Resolves when it is the caller's turn. @returns a callback that ends the turn */
  take(caller: string, isSmall: boolean): Promise<() => void> {
    return (isSmall ? this.small : this.large).take(caller);
  }
}
