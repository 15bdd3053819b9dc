// Which networks are looked at next: those of which something was heard or registered, and in turn all of them, since messages can be lost. Pure.
import type { Vni } from "../../schema/address/index.ts";

export class Looks {
  private readonly marked = new Set<Vni>();
  /** What was registered of each network at the last step. */
  private readonly registered = new Map<Vni, string>();
  private turn = 0;

  /** @param steps in which each network has its turn at least once */
  constructor(private readonly steps: number) {}

  /** Something may have changed there. */
  mark(vni: Vni): void {
    this.marked.add(vni);
  }

  /** At an interval. @param describe what is registered of a network, as text: another text is a change */
  step(vnis: readonly Vni[], describe: (vni: Vni) => string): void {
    for (const vni of this.registered.keys()) if (!vnis.includes(vni)) this.registered.delete(vni);
    for (const vni of vnis) {
      const now = describe(vni);
      if (this.registered.get(vni) !== now) this.mark(vni);
      this.registered.set(vni, now);
    }
    for (let count = Math.ceil(vnis.length / this.steps); count > 0; count--) {
      const vni = vnis[this.turn++ % vnis.length];
      if (vni !== undefined) this.mark(vni);
    }
  }

  /** Those to look at now; they are no longer marked. */
  take(): Vni[] {
    const vnis = [...this.marked];
    this.marked.clear();
    return vnis;
  }
}
