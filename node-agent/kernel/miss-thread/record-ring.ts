// The memory that the main thread shares with the thread that answers misses, as the main thread uses it: records out of the ring, allowances. No I/O.
import {
  type IpAddress,
  type MacAddress,
  parseRevision,
  type VtepAddress,
  wordsToIp,
  wordsToMac,
} from "../../../schema/address/index.ts";
import type { ThreadAnswer } from "../../misses/miss.ts";
import {
  clockOriginMs,
  control,
  controlWords,
  kinds,
  madeUpSlot,
  maxServed,
  record,
  recordWords,
  ringRecords,
  type ThreadData,
} from "./shared.ts";

export type ThreadRecord =
  | { readonly kind: "missed"; readonly ifindex: number; readonly ip: IpAddress }
  | {
      readonly kind: "answered";
      readonly ifindex: number;
      readonly ip: IpAddress;
      readonly answer: Omit<ThreadAnswer, "miss" | "written"> & {
        readonly written: Omit<ThreadAnswer["written"], "vni">;
      };
    };

export class RecordRing {
  readonly words = new Int32Array(new SharedArrayBuffer(controlWords * 4));
  private readonly ring = new Uint32Array(new SharedArrayBuffer(ringRecords * recordWords * 4));
  private readonly times = new Float64Array(this.ring.buffer);
  /** By slot: answers that were read. */
  private readonly counted = new Int32Array(maxServed);
  private isReading = false;

  constructor() {
    this.words[control.allowed + madeUpSlot] = 1;
  }

  dataFor(rest: Omit<ThreadData, "control" | "ring" | "originMs">): ThreadData {
    return { control: this.words, ring: this.ring, originMs: clockOriginMs(), ...rest };
  }

  allow(slot: number, count: number): void {
    Atomics.store(this.words, control.allowed + slot, (this.counted[slot] ?? 0) + count);
  }

  /** All records so far, oldest first. Another one lets the thread write a byte to the pipe again. */
  read(take: (each: ThreadRecord) => void): void {
    if (this.isReading) return;
    this.isReading = true;
    const { words } = this;
    Atomics.store(words, control.woken, 0);
    const written = Atomics.load(words, control.written);
    try {
      for (let read = Atomics.load(words, control.read); read !== written; read = (read + 1) | 0) {
        const each = this.recordAt(((read >>> 0) % ringRecords) * recordWords);
        Atomics.store(words, control.read, (read + 1) | 0);
        take(each);
      }
    } finally {
      Atomics.notify(words, control.read);
      this.isReading = false;
    }
  }

  private recordAt(at: number): ThreadRecord {
    const { ring } = this;
    const word = (field: number): number => ring[at + field] ?? 0;
    const ipAt = (field: number): IpAddress =>
      wordsToIp(word(field), word(field + 1), word(field + 2), word(field + 3));
    const macAt = (field: number): MacAddress => wordsToMac(word(field), word(field + 1));
    const msAt = (field: number): number => this.times[(at + field) / 2] ?? 0;
    const ifindex = word(record.ifindex);
    const ip = ipAt(record.ip);
    if (word(record.kind) === kinds.missed) return { kind: "missed", ifindex, ip };
    const slot = word(record.slot);
    this.counted[slot] = ((this.counted[slot] ?? 0) + 1) | 0;
    const repliedMs = msAt(record.repliedMs);
    const answer = {
      missedMs: msAt(record.missedMs),
      writtenMs: msAt(record.writtenMs),
      ...(repliedMs > 0 ? { repliedMs } : {}),
      revision: parseRevision(word(record.revisionHigh) * 2 ** 32 + word(record.revisionLow)),
      asker: { mac: macAt(record.askerHigh), ip: ipAt(record.askerIp) },
      written: {
        ip,
        mac: macAt(record.macHigh),
        vtep: ipAt(record.vtep) as VtepAddress,
        vtepPort: word(record.vtepPort),
        ...(word(record.router) === 0 ? {} : { router: true as const }),
      },
    };
    return { kind: "answered", ifindex, ip, answer };
  }
}
