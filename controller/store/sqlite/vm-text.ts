// Reads stored VMs from the bytes that `vm-scan.ts` has made of their rows, without an object or a text for each. It takes what this
// program writes; of anything else it says so, and the row is read in the ordinary way.
import { limits } from "../../../schema/plain/index.ts";
import { type PackedVm, packedInterface } from "../../inventory/packed/packed-vm.ts";

/** Behind each field but the last, and behind a VM. Names have neither, nor has JSON unless escaped. */
export const fieldEnd = 0x1f;
export const vmEnd = 0x1e;

const quote = 0x22;
const comma = 0x2c;
const dash = 0x2d;
const dot = 0x2e;
const colon = 0x3a;
const bracket = 0x5b;
const backslash = 0x5c;
const bracketEnd = 0x5d;
const brace = 0x7b;
const braceEnd = 0x7d;

const noDigit = 0x10;
/** Of hexadecimal digits in lower case. */
const digits = Uint8Array.from({ length: 256 }, (_, code) => {
  const digit = "0123456789abcdef".indexOf(String.fromCharCode(code));
  return digit < 0 ? noDigit : digit;
});

const { networkStart, nameStart, portStart, parentStart, macHigh, macLow, router, ipCount, fields } = packedInterface;

export class VmText {
  private bytes: Uint8Array = new Uint8Array(0);
  /** The next byte to read. */
  private at = 0;
  /** Of this VM, so far. */
  private ips = 0;
  private readonly groups = new Int32Array(8);

  constructor(private readonly vm: PackedVm) {}

  /** @param bytes of any number of VMs */
  begin(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.vm.bytes = bytes;
    this.at = 0;
  }

  get atEnd(): boolean {
    return this.at >= this.bytes.length;
  }

  /** @returns whether the next VM is in the record now; if not, `skip` goes on behind it */
  next(): boolean {
    const { vm } = this;
    vm.nameStart = this.at;
    vm.nameEnd = this.textTo(fieldEnd);
    return (
      vm.nameEnd > vm.nameStart &&
      this.readUid() &&
      this.readHost() &&
      this.readRevision() &&
      this.readLabels() &&
      this.readDescription() &&
      this.readInterfaces()
    );
  }

  /** @returns the name of the VM that could not be read */
  skip(): string {
    const { bytes } = this;
    const { nameStart: start } = this.vm;
    const found = bytes.indexOf(vmEnd, start);
    const end = found < 0 ? bytes.length : found;
    this.at = end + 1;
    const nameEnd = bytes.indexOf(fieldEnd, start);
    return Buffer.from(bytes.subarray(start, nameEnd < 0 ? end : nameEnd)).toString();
  }

  private readUid(): boolean {
    const { bytes, at } = this;
    const { uid } = this.vm;
    let word = 0;
    let count = 0;
    for (let i = 0; i < 36; i++) {
      const code = bytes[at + i] ?? 0;
      if (i === 8 || i === 13 || i === 18 || i === 23) {
        if (code !== dash) return false;
        continue;
      }
      const digit = digits[code] ?? noDigit;
      if (digit === noDigit) return false;
      word = (word << 4) | digit;
      count += 1;
      if ((count & 7) === 0) uid[(count >>> 3) - 1] = word;
    }
    this.at = at + 36;
    return this.takes(fieldEnd);
  }

  private readHost(): boolean {
    this.vm.hostStart = this.at;
    this.vm.hostEnd = this.textTo(fieldEnd);
    return this.vm.hostEnd > this.vm.hostStart;
  }

  private readRevision(): boolean {
    const { bytes } = this;
    let value = 0;
    let at = this.at;
    for (; at < bytes.length && bytes[at] !== fieldEnd; at++) {
      const digit = digits[bytes[at] ?? 0] ?? noDigit;
      if (digit > 9) return false;
      value = value * 10 + digit;
    }
    this.at = at + 1;
    this.vm.revision = value;
    return true;
  }

  private readLabels(): boolean {
    const { vm, bytes } = this;
    const start = this.at;
    const end = this.textTo(fieldEnd);
    vm.labelsStart = start;
    // Nothing for {}
    vm.labelsEnd = end === start + 2 && bytes[start] === brace ? start : end;
    return end >= 0;
  }

  /** In quotes, as JSON; nothing for an empty one. */
  private readDescription(): boolean {
    const isEmpty = this.bytes[this.at] === fieldEnd;
    if (!isEmpty && !this.takes(quote)) return false;
    this.vm.descriptionStart = this.at;
    this.vm.descriptionEnd = this.textTo(isEmpty ? fieldEnd : quote);
    return this.vm.descriptionEnd >= 0 && (isEmpty || this.takes(fieldEnd));
  }

  private readInterfaces(): boolean {
    this.ips = 0;
    if (!this.takes(bracket)) return false;
    let count = 0;
    if (this.bytes[this.at] === bracketEnd) this.at += 1;
    else {
      do {
        if (count === limits.interfacesPerVm || !this.readInterface(count * fields)) return false;
        count += 1;
      } while (this.takes(comma));
      if (!this.takes(bracketEnd)) return false;
    }
    this.vm.interfaceCount = count;
    return this.atEnd || this.takes(vmEnd);
  }

  /** @param into its fields begin there */
  private readInterface(into: number): boolean {
    this.vm.interfaces.fill(0, into, into + fields);
    if (!this.takes(brace)) return false;
    let seen = 0;
    do {
      const key = this.readProperty(into);
      if (key === 0 || (seen & key) !== 0) return false;
      seen |= key;
    } while (this.takes(comma));
    return (seen & required) === required && this.takes(braceEnd);
  }

  /** @returns the bit of its key; 0: it cannot be read */
  private readProperty(into: number): number {
    const { bytes, at } = this;
    switch (bytes[at + 1]) {
      case 0x6e: // n
        if (bytes[at + 2] === 0x61) return this.takesAll(nameKey) && this.readText(into + nameStart) ? 1 : 0;
        return this.takesAll(networkKey) && this.readText(into + networkStart) ? 2 : 0;
      case 0x6d: // m
        return this.takesAll(macKey) && this.readMac(into) ? 4 : 0;
      case 0x69: // i
        return this.takesAll(ipsKey) && this.readIps(into) ? 8 : 0;
      case 0x70: // p
        if (bytes[at + 2] === 0x6f) return this.takesAll(portKey) && this.readText(into + portStart) ? 16 : 0;
        return this.takesAll(parentKey) && this.readText(into + parentStart) ? 32 : 0;
      case 0x72: // r
        return this.takesAll(routerKey) && this.readRouter(into) ? 64 : 0;
      default:
        return 0;
    }
  }

  /** @param into its start, before its end. Not an empty one: an absent text is. */
  private readText(into: number): boolean {
    if (!this.takes(quote)) return false;
    const start = this.at;
    const end = this.textTo(quote);
    this.vm.interfaces[into] = start;
    this.vm.interfaces[into + 1] = end;
    return end > start;
  }

  private readRouter(into: number): boolean {
    const is = this.takesAll(trueText);
    this.vm.interfaces[into + router] = is ? 2 : 1;
    return is || this.takesAll(falseText);
  }

  private readMac(into: number): boolean {
    const { bytes } = this;
    if (!this.takes(quote)) return false;
    let high = 0;
    let low = 0;
    let at = this.at;
    for (let i = 0; i < 6; i++) {
      const first = digits[bytes[at] ?? 0] ?? noDigit;
      const second = digits[bytes[at + 1] ?? 0] ?? noDigit;
      if (first === noDigit || second === noDigit || bytes[at + 2] !== (i < 5 ? colon : quote)) return false;
      const octet = (first << 4) | second;
      if (i < 2) high = (high << 8) | octet;
      else low = (low << 8) | octet;
      at += 3;
    }
    this.at = at;
    this.vm.interfaces[into + macHigh] = high;
    this.vm.interfaces[into + macLow] = low;
    return true;
  }

  private readIps(into: number): boolean {
    if (!this.takes(bracket)) return false;
    let count = 0;
    if (!this.takes(bracketEnd)) {
      do {
        if (count === limits.ipsPerInterface || !this.takes(quote) || !this.readIp()) return false;
        count += 1;
      } while (this.takes(comma));
      if (!this.takes(bracketEnd)) return false;
    }
    this.vm.interfaces[into + ipCount] = count;
    return true;
  }

  /** With the quote behind it. */
  private readIp(): boolean {
    const { bytes, at } = this;
    // The first octet has up to three digits.
    if (bytes[at + 1] === dot || bytes[at + 2] === dot || bytes[at + 3] === dot) return this.readIpv4();
    return this.readIpv6();
  }

  private readIpv4(): boolean {
    const { bytes } = this;
    let at = this.at;
    let word = 0;
    for (let i = 0; i < 4; i++) {
      let octet = digits[bytes[at] ?? 0] ?? noDigit;
      if (octet > 9) return false;
      const isZero = octet === 0;
      for (at += 1; ; at++) {
        const digit = digits[bytes[at] ?? 0] ?? noDigit;
        if (digit > 9) break;
        octet = octet * 10 + digit;
        if (isZero || octet > 255) return false;
      }
      if (bytes[at] !== (i < 3 ? dot : quote)) return false;
      at += 1;
      word = (word << 8) | octet;
    }
    this.at = at;
    return this.putIp(0, 0, 0xffff, word);
  }

  private readIpv6(): boolean {
    const { bytes, groups } = this;
    let at = this.at;
    let count = 0;
    /** Number of groups before `::`. */
    let gap = -1;
    if (bytes[at] === colon && bytes[at + 1] === colon) {
      gap = 0;
      at += 2;
    }
    for (;;) {
      let group = digits[bytes[at] ?? 0] ?? noDigit;
      if (group === noDigit) break;
      if (count === 8) return false;
      let length = 1;
      for (at += 1; ; at++) {
        const digit = digits[bytes[at] ?? 0] ?? noDigit;
        if (digit === noDigit) break;
        group = (group << 4) | digit;
        length += 1;
      }
      if (length > 4) return false;
      groups[count] = group;
      count += 1;
      if (bytes[at] !== colon) break;
      at += 1;
      if (bytes[at] !== colon) continue;
      if (gap >= 0) return false;
      gap = count;
      at += 1;
    }
    if (bytes[at] !== quote || (bytes[at - 1] === colon && gap !== count)) return false;
    if (gap < 0 ? count !== 8 : count === 8) return false;
    this.at = at + 1;
    if (gap >= 0) {
      groups.copyWithin(8 - (count - gap), gap, count);
      groups.fill(0, gap, 8 - (count - gap));
    }
    return this.putIp(this.wordAt(0), this.wordAt(2), this.wordAt(4), this.wordAt(6));
  }

  private wordAt(group: number): number {
    return ((this.groups[group] ?? 0) << 16) | (this.groups[group + 1] ?? 0);
  }

  private putIp(a: number, b: number, c: number, d: number): boolean {
    const { ips } = this.vm;
    const at = 4 * this.ips;
    ips[at] = a;
    ips[at + 1] = b;
    ips[at + 2] = c;
    ips[at + 3] = d;
    this.ips += 1;
    return true;
  }

  /** Goes on behind `end`. @returns where it is; -1 if what is before it is not plain ASCII, or may be escaped */
  private textTo(end: number): number {
    const { bytes } = this;
    for (let at = this.at; at < bytes.length; at++) {
      const code = bytes[at] ?? 0;
      if (code === end) {
        this.at = at + 1;
        return at;
      }
      if (code < 0x20 || code > 0x7e || code === backslash) return -1;
    }
    return -1;
  }

  private takes(code: number): boolean {
    if (this.bytes[this.at] !== code) return false;
    this.at += 1;
    return true;
  }

  private takesAll(text: Uint8Array): boolean {
    const { bytes, at } = this;
    for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text[i]) return false;
    this.at = at + text.length;
    return true;
  }
}

const ascii = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "latin1"));
const nameKey = ascii('"name":');
const networkKey = ascii('"network":');
const macKey = ascii('"mac":');
const ipsKey = ascii('"ips":');
const portKey = ascii('"port":');
const parentKey = ascii('"parent":');
const routerKey = ascii('"router":');
const trueText = ascii("true");
const falseText = ascii("false");
/** Name, network, MAC and IPs. */
const required = 15;
