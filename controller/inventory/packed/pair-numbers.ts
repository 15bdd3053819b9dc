// Numbers of interfaces and VMs by host and network, both as ids: 29 bytes for a pair with its index. Numbers may be negative.
import { HashIndex } from "./hash-index.ts";
import { hashOfWords } from "./hashing.ts";
import { none, Rows } from "./rows.ts";

export const pairHost = 0;
export const pairNetwork = 1;
export const pairInterfaces = 2;
export const pairVms = 3;
const ownFields = 4;

export class PairNumbers {
  readonly rows: Rows;
  private readonly index = new HashIndex();

  /** @param moreFields of a row, behind those of its own */
  constructor(moreFields = 0) {
    this.rows = new Rows(ownFields + moreFields);
  }

  get size(): number {
    return this.rows.size;
  }

  /** Ids of the pairs; a row without numbers is that of no pair. */
  *ids(): Generator<number, void, void> {
    const { rows } = this;
    for (let id = 0; id < rows.extent; id++) {
      if (rows.get(id, pairInterfaces) !== 0 || rows.get(id, pairVms) !== 0) yield id;
    }
  }

  find(host: number, network: number, hash = hashOfWords(host, network)): number {
    for (let id = this.index.first(hash); id !== none; id = this.index.next()) {
      if (this.rows.get(id, pairHost) === host && this.rows.get(id, pairNetwork) === network) return id;
    }
    return none;
  }

  /** The number in the field; 0 where the pair is not there. */
  numberOf(host: number, network: number, field: number): number {
    const id = this.find(host, network);
    return id === none ? 0 : this.rows.get(id, field);
  }

  /** The row of the pair, which is there from now on. @param onNew called before it is */
  reach(host: number, network: number, onNew?: () => void): number {
    const hash = hashOfWords(host, network);
    const known = this.find(host, network, hash);
    if (known !== none) return known;
    onNew?.();
    const id = this.rows.add();
    this.rows.set(id, pairHost, host);
    this.rows.set(id, pairNetwork, network);
    this.rows.set(id, pairInterfaces, 0);
    this.rows.set(id, pairVms, 0);
    this.index.add(hash, id);
    return id;
  }

  /** @returns whether the pair is gone, since both of its numbers are 0 */
  dropUnused(id: number): boolean {
    const { rows } = this;
    if (rows.get(id, pairInterfaces) !== 0 || rows.get(id, pairVms) !== 0) return false;
    this.index.delete(hashOfWords(rows.get(id, pairHost), rows.get(id, pairNetwork)), id);
    rows.delete(id);
    return true;
  }
}
