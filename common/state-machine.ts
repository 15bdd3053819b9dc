// Objects that are in one of several states: a discriminated union of states, and a table of legal transitions.

/** For each state, the states that may follow. */
export type Transitions<Kind extends string> = Readonly<Record<Kind, readonly NoInfer<Kind>[]>>;

export class StateMachine<State extends { readonly kind: string }> {
  /** @param onLeave ends what belongs to the state that is left, such as its timers */
  constructor(
    private readonly transitions: Transitions<State["kind"]>,
    private current: State,
    private readonly onLeave: (left: State) => void,
  ) {}

  get state(): State {
    return this.current;
  }

  /** @throws at a transition that the table does not have, which is a bug of the caller; the state stays */
  enter(next: State): void {
    const left = this.current;
    const legal = this.transitions[left.kind as State["kind"]];
    if (!legal.includes(next.kind)) throw new Error(`illegal transition from ${left.kind} to ${next.kind}`);
    this.current = next;
    this.onLeave(left);
  }
}
