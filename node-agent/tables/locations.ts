// Where VMs run: hosts with their tunnel ends, each once, with a number that stands for it in tables of bindings. No I/O.
import { type Binding, ipToWords, type VtepAddress, wordsToIp } from "../../schema/address/index.ts";
import { locationPort as port, locationUses as uses, wordsPerLocation } from "./replica-rows.ts";

export type Location = Pick<Binding, "host" | "vtep" | "vtepPort">;

export class Locations {
  private words = new Uint32Array(new SharedArrayBuffer(wordsPerLocation * 16 * 4));
  private readonly hosts: string[] = [];
  private readonly ids = new Map<string, number>();
  private readonly freed: number[] = [];

  /** @param onMoved there is another buffer, before anything in it changes */
  constructor(private readonly onMoved: () => void = () => {}) {}

  /** For another thread, until `onMoved`. */
  get shared(): Uint32Array {
    return this.words;
  }

  /** Locations with a binding. */
  get size(): number {
    return this.ids.size;
  }

  /** For one more binding. @returns the number of its location */
  retain({ host, vtep, vtepPort }: Location): number {
    const text = textOf({ host, vtep, vtepPort });
    const known = this.ids.get(text);
    const id = known ?? this.freed.pop() ?? this.hosts.length;
    const at = id * wordsPerLocation;
    if (known === undefined) {
      if (at + wordsPerLocation > this.words.length) this.grow();
      this.ids.set(text, id);
      this.hosts[id] = host;
      this.words.set(ipToWords(vtep), at);
      this.words[at + port] = vtepPort;
      this.words[at + uses] = 0;
    }
    this.words[at + uses] = this.word(id, uses) + 1;
    return id;
  }

  /** So many bindings less. */
  release(id: number, bindings = 1): void {
    if (bindings === 0) return;
    const left = this.word(id, uses) - bindings;
    this.words[id * wordsPerLocation + uses] = left;
    if (left > 0) return;
    this.ids.delete(textOf(this.get(id)));
    this.hosts[id] = "";
    this.freed.push(id);
  }

  get(id: number): Location {
    const vtep = wordsToIp(this.word(id, 0), this.word(id, 1), this.word(id, 2), this.word(id, 3)) as VtepAddress;
    return { host: this.hosts[id] ?? "", vtep, vtepPort: this.word(id, port) };
  }

  private word(id: number, field: number): number {
    return this.words[id * wordsPerLocation + field] ?? 0;
  }

  private grow(): void {
    const words = new Uint32Array(new SharedArrayBuffer(this.words.byteLength * 2));
    words.set(this.words);
    this.words = words;
    this.onMoved();
  }
}

const textOf = ({ host, vtep, vtepPort }: Location): string => `${host} ${vtep} ${vtepPort}`;
