// Says that tunnel ends of other hosts came into use, or went out of it. What is cached is made before what looks at their routes.
export class TunnelEndsInUse {
  private readonly listeners: (() => void)[] = [];

  attend(listener: () => void): void {
    this.listeners.push(listener);
  }

  readonly changed = (): void => {
    for (const listener of this.listeners) listener();
  };
}
