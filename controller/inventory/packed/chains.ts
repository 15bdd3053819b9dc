// Lists of rows, such as the VMs of each host, linked through two fields of the rows themselves. In order of insertion, as a
// Map has it: what is said of "the first" VM on a host stays the same.
import { none, type Rows } from "./rows.ts";

interface Chain {
  first: number;
  last: number;
  size: number;
}

export class Chains {
  /** By the id of the list, which are dense. */
  private readonly chains: (Chain | undefined)[] = [];

  /** @param previous and @param following are fields of `rows` that nothing else uses */
  constructor(
    private readonly rows: Rows,
    private readonly previous: number,
    private readonly following: number,
  ) {}

  append(list: number, id: number): void {
    const chain = this.chains[list];
    this.rows.set(id, this.following, none);
    this.rows.set(id, this.previous, chain?.last ?? none);
    if (chain) {
      this.rows.set(chain.last, this.following, id);
      chain.last = id;
      chain.size += 1;
    } else this.chains[list] = { first: id, last: id, size: 1 };
  }

  /** @param id must be in the list */
  remove(list: number, id: number): void {
    const chain = this.chains[list];
    if (!chain) return;
    const before = this.rows.get(id, this.previous);
    const behind = this.rows.get(id, this.following);
    if (before === none) chain.first = behind;
    else this.rows.set(before, this.following, behind);
    if (behind === none) chain.last = before;
    else this.rows.set(behind, this.previous, before);
    chain.size -= 1;
    if (chain.size === 0) this.chains[list] = undefined;
  }

  size(list: number): number {
    return this.chains[list]?.size ?? 0;
  }

  /** The list must not change in between. */
  *in(list: number): Generator<number> {
    for (let id = this.chains[list]?.first ?? none; id !== none; id = this.rows.get(id, this.following)) yield id;
  }
}
