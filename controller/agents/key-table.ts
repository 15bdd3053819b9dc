// Binding keys by dense ids, each with one number of its user: about 24 bytes for a MAC or IPv4 address with its index, 32 for
// an IPv6 one. Whether a key is registered is not known here: interest in it outlives its VM.
import {
  type BindingKey,
  familyOf,
  type IpWords,
  ipToWords,
  type MacAddress,
  type MacWords,
  macToWords,
  type Vni,
  wordsToIp,
  wordsToMac,
  wordToIpv4,
} from "../../schema/address/index.ts";
import { HashIndex } from "../inventory/packed/hash-index.ts";
import { hashOfWords } from "../inventory/packed/hashing.ts";
import { none, Rows } from "../inventory/packed/rows.ts";

/** The VNI, and above it what the address is. */
const network = 0;
const isMac = 1 << 24;
const vniBits = isMac - 1;
/** Rows of MAC and IPv4 addresses: two words, and the user's number. */
const shortWords = 2;
/** Rows of IPv6 addresses. */
const longWords = 4;

/** The last bit of an id: its row is a long one. */
const longBit = 1;

export class KeyTable {
  private readonly short = new Rows(1 + shortWords + 1);
  private readonly long = new Rows(1 + longWords + 1);
  private readonly index = new HashIndex();
  private readonly macWords: MacWords = [0, 0];
  private readonly ipWords: IpWords = [0, 0, 0, 0];
  /** Of the key that was read last: its row would be a long one; the first field of its row, and the fields behind that. */
  private isLong = false;
  private network = 0;
  private words: readonly [number, number, number?, number?] = this.macWords;

  get size(): number {
    return this.short.size + this.long.size;
  }

  /** @returns `none` where it is not in the table */
  find(key: BindingKey): number {
    return this.locate(this.read(key));
  }

  /** The id of the key, which is in the table from now on. @param value of a new one */
  reach(key: BindingKey, value: number): number {
    const hash = this.read(key);
    const known = this.locate(hash);
    if (known !== none) return known;
    const { isLong, words } = this;
    const rows = isLong ? this.long : this.short;
    const row = rows.add();
    const id = (row << 1) | (isLong ? longBit : 0);
    rows.set(row, network, this.network);
    const count = isLong ? longWords : shortWords;
    for (let i = 0; i < count; i++) rows.set(row, 1 + i, words[i] ?? 0);
    this.index.add(hash, id);
    this.set(id, value);
    return id;
  }

  /** Its number is `none` then, until the id is given again. */
  delete(id: number): void {
    this.index.delete(this.hashOf(id), id);
    this.set(id, none);
    this.rowsOf(id).delete(id >> 1);
  }

  get(id: number): number {
    return this.rowsOf(id).get(id >> 1, (id & longBit) === 0 ? 1 + shortWords : 1 + longWords);
  }

  set(id: number, value: number): void {
    this.rowsOf(id).set(id >> 1, (id & longBit) === 0 ? 1 + shortWords : 1 + longWords, value);
  }

  /** Of all keys; those of IPv6 addresses come last, others in the order in which they were added, unless some were deleted. */
  *ids(): Generator<number, void, void> {
    for (const [rows, bit] of [[this.short, 0] as const, [this.long, longBit] as const]) {
      for (let row = 0; row < rows.extent; row++) {
        const id = (row << 1) | bit;
        if (this.get(id) !== none) yield id;
      }
    }
  }

  /** @param id of a key in the table */
  keyOf(id: number): BindingKey {
    const row = id >> 1;
    const rows = this.rowsOf(id);
    const vni = (rows.get(row, network) & vniBits) as Vni;
    const mac = this.findMac(id);
    if (mac !== undefined) return { kind: "mac", vni, mac };
    if ((id & longBit) === 0) return { kind: "ip", vni, ip: wordToIpv4(rows.get(row, 2)) };
    return { kind: "ip", vni, ip: wordsToIp(rows.get(row, 1), rows.get(row, 2), rows.get(row, 3), rows.get(row, 4)) };
  }

  /** Undefined where it is the key of an IP address. */
  findMac(id: number): MacAddress | undefined {
    const row = id >> 1;
    if ((id & longBit) !== 0 || (this.short.get(row, network) & isMac) === 0) return undefined;
    return wordsToMac(this.short.get(row, 1), this.short.get(row, 2));
  }

  isIn(id: number, vni: Vni): boolean {
    return (this.rowsOf(id).get(id >> 1, network) & vniBits) === vni;
  }

  private rowsOf(id: number): Rows {
    return (id & longBit) === 0 ? this.short : this.long;
  }

  /** Reads the key's words. @returns its hash */
  private read(key: BindingKey): number {
    const { macWords, ipWords } = this;
    this.isLong = key.kind === "ip" && familyOf(key.ip) === 6;
    this.network = key.kind === "mac" ? key.vni | isMac : key.vni;
    this.words = this.isLong ? ipWords : macWords;
    if (key.kind === "mac") macToWords(key.mac, macWords);
    else {
      ipToWords(key.ip, ipWords);
      macWords[0] = 0;
      macWords[1] = ipWords[3];
    }
    const [a, b, c, d] = this.words;
    return hashOfWords(this.network, a, b, c, d);
  }

  /** The key that was read last. */
  private locate(hash: number): number {
    const { words, isLong } = this;
    const rows = isLong ? this.long : this.short;
    for (let id = this.index.first(hash); id !== none; id = this.index.next()) {
      if (((id & longBit) !== 0) !== isLong) continue;
      const fields = rows.block(id >> 1);
      const at = rows.offset(id >> 1);
      if (fields[at + network] !== this.network || fields[at + 2] !== words[1] || fields[at + 1] !== words[0]) continue;
      if (!isLong || (fields[at + 4] === words[3] && fields[at + 3] === words[2])) return id;
    }
    return none;
  }

  private hashOf(id: number): number {
    const row = id >> 1;
    const rows = this.rowsOf(id);
    if ((id & longBit) === 0) return hashOfWords(rows.get(row, network), rows.get(row, 1), rows.get(row, 2));
    return hashOfWords(rows.get(row, network), rows.get(row, 1), rows.get(row, 2), rows.get(row, 3), rows.get(row, 4));
  }
}
