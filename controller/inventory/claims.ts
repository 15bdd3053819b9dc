// What the VMs of a change set take, such as addresses and ports: each only once.
import type { Attachment } from "./inventory.ts";
import { HashIndex } from "./packed/hash-index.ts";
import { hashOfText } from "./packed/hashing.ts";
import { none } from "./packed/rows.ts";
import type { StagedEdits } from "./staged-edits.ts";

export const addressKey = (network: string, address: string): string => `${network} ${address}`;
export const portKey = (host: string, port: string): string => `${host} ${port}`;

/** All that an interface takes, as texts. */
export type Takes = (attachment: Attachment) => Iterable<string>;

export interface TakenPlaces {
  /** Interfaces that were added with the place, in that order. */
  find(taken: string): Iterable<Attachment>;
  add(taken: string, own: Attachment): void;
}

export class TakenByObjects implements TakenPlaces {
  private readonly taken = new Map<string, Attachment[]>();

  find(taken: string): Iterable<Attachment> {
    return this.taken.get(taken) ?? [];
  }

  add(taken: string, own: Attachment): void {
    const others = this.taken.get(taken);
    if (others) others.push(own);
    else this.taken.set(taken, [own]);
  }
}

/** Of a million VMs: hashes alone, about 13 bytes for each. Only where one is found again, its VM is read. */
export class TakenByRecords implements TakenPlaces {
  private readonly index = new HashIndex();

  /** @param takes what an interface takes of these */
  constructor(
    private readonly edits: StagedEdits,
    private readonly takes: Takes,
  ) {}

  find(taken: string): Attachment[] {
    const numbers: number[] = [];
    for (let number = this.index.first(hashOfText(taken)); number !== none; number = this.index.next()) {
      numbers.push(number);
    }
    return [...new Set(numbers.sort((a, b) => a - b))].flatMap((number) => this.holdersIn(number, taken));
  }

  /** Of the VM that is being read from the edits. */
  add(taken: string): void {
    this.index.add(hashOfText(taken), this.edits.reading);
  }

  private holdersIn(number: number, taken: string): Attachment[] {
    const vm = this.edits.at(number).after;
    if (!vm) return [];
    return vm.interfaces
      .map((each): Attachment => ({ vm, interface: each }))
      .filter((each) => [...this.takes(each)].includes(taken));
  }
}
