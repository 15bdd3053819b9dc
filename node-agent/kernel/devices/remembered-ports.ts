// Remembers which guests' ports a bridge had, in case another program deletes the bridge. The kernel then releases each port
// first, as if it had been removed by hand, and deletes the bridge a moment later.
import type { Vni } from "../../../schema/address/index.ts";
import type { Link } from "../codec/link-codec.ts";

/** A port that left its bridge within this time before the bridge's deletion was not removed by hand. */
const togetherMs = 1_000;

export class RememberedPorts {
  private readonly vniOf = new Map<number, Vni>();
  private readonly left = new Map<number, { readonly vni: Vni; readonly atMs: number }>();

  constructor(private readonly nowMs: () => number) {}

  /** @param vni of the bridge of ours that the link is a port of, if any */
  note(link: Link, gone: boolean, vni: Vni | undefined): void {
    const before = this.vniOf.get(link.ifindex);
    if (gone) {
      this.vniOf.delete(link.ifindex);
      this.left.delete(link.ifindex);
    } else if (vni !== undefined) {
      this.vniOf.set(link.ifindex, vni);
      this.left.delete(link.ifindex);
    } else if (before !== undefined) {
      this.vniOf.delete(link.ifindex);
      this.left.set(link.ifindex, { vni: before, atMs: this.nowMs() });
    }
  }

  /**
   * ifindexes of the ports that a network's bridge had until its deletion, whether their removal has been notified yet or not.
   */
  lostBy(vni: Vni): number[] {
    const since = this.nowMs() - togetherMs;
    for (const [ifindex, { atMs }] of this.left) if (atMs < since) this.left.delete(ifindex);
    const lately = [...this.left].filter(([, each]) => each.vni === vni).map(([ifindex]) => ifindex);
    const still = [...this.vniOf].filter(([, each]) => each === vni).map(([ifindex]) => ifindex);
    return [...lately, ...still];
  }
}
