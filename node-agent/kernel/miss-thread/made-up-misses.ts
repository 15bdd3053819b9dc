// Misses that never were, for runs that keep the way of a miss in the processor's caches. They go through the same functions as real ones,
// with a table and questions of their own, and a device that cannot exist: the kernel refuses each part of it (ENODEV, ENXIO), so nothing is
// notified, no frame leaves, and no question of a guest is read.
import {
  insert,
  keyWords,
  locationPort,
  macHighAndFlags,
  macLow,
  wordsPerLocation,
  wordsPerRow,
} from "../../tables/replica-rows.ts";
import { type MissPath, madeUpIfindex, places, type ServedNetwork } from "./miss-path.ts";
import { Questions } from "./questions.ts";
import { madeUpSlot } from "./shared.ts";

/** 203.0.113.2 and 2001:db8:ffff::2, asked for by .1 and ::1: documentation prefixes (RFC 5737, RFC 3849). */
const targets = [
  [0, 0, 0xffff, 0xcb00_7102],
  [0x2001_0db8, 0xffff_0000, 0, 2],
];
const askers = [
  [0, 0, 0xffff, 0xcb00_7101],
  [0x2001_0db8, 0xffff_0000, 0, 1],
];
const vtep = [0, 0, 0xffff, 0xc633_6401];

export class MadeUpMisses {
  private readonly networks: ReadonlyMap<number, ServedNetwork>;
  private readonly network: ServedNetwork;
  private readonly misses = [missMessage(4), missMessage(6)];
  private readonly frames = [arpRequest(), solicitation()];
  private readonly bytes: Uint8Array;
  private turn = 0;

  /** @param socket that receives nothing */
  constructor(
    private readonly path: MissPath,
    socket: number,
  ) {
    this.bytes = new Uint8Array(path.memory.buffer);
    const ifindex = madeUpIfindex;
    const isMadeUp = true;
    this.network = {
      slot: madeUpSlot,
      ifindex,
      bridgeIfindex: ifindex,
      socket,
      questions: new Questions(),
      table: madeUpTable(),
      untilMs: Number.POSITIVE_INFINITY,
      isMadeUp,
    };
    this.networks = new Map([[ifindex, this.network]]);
  }

  /** One miss, address families in turns. */
  run(): void {
    const { path, bytes, network } = this;
    const frame = this.frames[this.turn] as Uint8Array;
    const miss = this.misses[this.turn] as Uint8Array;
    this.turn = 1 - this.turn;
    bytes.set(frame, places.question);
    network.questions.hear(path.memory, places.question, frame.length, path.nowMs());
    bytes.set(miss, places.miss);
    path.take(miss.length, this.networks);
  }
}

function madeUpTable(): ServedNetwork["table"] {
  const seed = 1;
  const rows = new Uint32Array(new SharedArrayBuffer(16 * wordsPerRow * 4));
  const slots = new Uint32Array(new SharedArrayBuffer(20 * 4));
  const locations = new Uint32Array(new SharedArrayBuffer(wordsPerLocation * 4));
  locations.set(vtep);
  locations[locationPort] = 4789;
  targets.forEach((words, row) => {
    rows.set(words, row * wordsPerRow);
    rows[row * wordsPerRow + macLow] = 2 + row;
    rows[row * wordsPerRow + macHighAndFlags] = 0x0200 << 16;
    insert({ rows, slots }, seed, row);
  });
  return { parts: [{ rows, slots }], seed, version: new Int32Array(new SharedArrayBuffer(4)), locations };
}

/** As the kernel sends it: struct nlmsghdr, struct ndmsg, NDA_DST. */
function missMessage(family: 4 | 6): Uint8Array {
  const length = family === 4 ? 4 : 16;
  const bytes = new Uint8Array(16 + 12 + 4 + length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, 30, true);
  view.setInt32(20, madeUpIfindex, true);
  view.setUint16(24, 4, true);
  view.setUint16(28, 4 + length, true);
  view.setUint16(30, 1, true);
  setIp(view, 32, family, targets);
  return bytes;
}

function arpRequest(): Uint8Array {
  const bytes = new Uint8Array(42);
  const view = new DataView(bytes.buffer);
  bytes.fill(0xff, 0, 6);
  bytes.set([2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1], 6);
  setIp(view, 28, 4, askers);
  setIp(view, 38, 4, targets);
  return bytes;
}

function solicitation(): Uint8Array {
  const bytes = new Uint8Array(14 + 40 + 32);
  const view = new DataView(bytes.buffer);
  bytes.set([0x33, 0x33, 0xff, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x86, 0xdd, 0x60]);
  bytes[20] = 58;
  bytes[54] = 135;
  setIp(view, 22, 6, askers);
  setIp(view, 62, 6, targets);
  return bytes;
}

function setIp(view: DataView, at: number, family: 4 | 6, of: readonly (readonly number[])[]): void {
  const words = of[family === 4 ? 0 : 1] as readonly number[];
  if (family === 4) view.setUint32(at, words[3] ?? 0);
  else for (let i = 0; i < keyWords; i++) view.setUint32(at + 4 * i, words[i] ?? 0);
}
