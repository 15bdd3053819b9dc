// VNIs by host, such as the networks that hosts begin to know: four to eight bytes for each, since an import can have a million.
import type { Vni } from "../../schema/address/index.ts";

const firstLength = 2;

export class HostVnis implements Iterable<readonly [host: string, vnis: Iterable<Vni>]> {
  private readonly byHost = new Map<string, VniSet>();

  /** Once, however often it is added. */
  add(host: string, vni: Vni): void {
    const known = this.byHost.get(host);
    if (known) known.add(vni);
    else this.byHost.set(host, new VniSet(vni));
  }

  has(host: string, vni: Vni): boolean {
    return this.byHost.get(host)?.has(vni) === true;
  }

  /** Hosts in the order in which they came, the VNIs of each in order of number. */
  *[Symbol.iterator](): Generator<readonly [host: string, vnis: Iterable<Vni>]> {
    for (const [host, vnis] of this.byHost) yield [host, vnis.values()];
  }
}

/** Numbers are appended, and sorted where the room is used up or they are read: duplicates go then. */
class VniSet {
  private numbers = new Int32Array(firstLength);
  private count = 1;
  /** Of these, the first ones that are in order. */
  private sorted = 1;

  constructor(first: Vni) {
    this.numbers[0] = first;
  }

  add(vni: Vni): void {
    if (this.count === this.numbers.length) this.makeRoom();
    this.numbers[this.count] = vni;
    this.count += 1;
  }

  has(vni: Vni): boolean {
    this.sort();
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.numbers[middle] ?? 0) < vni) low = middle + 1;
      else high = middle;
    }
    return low < this.count && this.numbers[low] === vni;
  }

  values(): Iterable<Vni> {
    this.sort();
    return this.numbers.subarray(0, this.count) as Iterable<number> as Iterable<Vni>;
  }

  private makeRoom(): void {
    this.sort();
    if (2 * this.count <= this.numbers.length) return;
    const larger = new Int32Array(2 * this.numbers.length);
    larger.set(this.numbers);
    this.numbers = larger;
  }

  private sort(): void {
    if (this.sorted === this.count) return;
    const sorted = this.numbers.subarray(0, this.count).sort();
    let kept = 0;
    for (const number of sorted) {
      if (kept > 0 && this.numbers[kept - 1] === number) continue;
      this.numbers[kept] = number;
      kept += 1;
    }
    this.count = kept;
    this.sorted = kept;
  }
}
