// IP addresses from text to numbers and back. Written by hand, because every registration and every miss passes through here.

const colon = 58;
const dot = 46;
const groupCount = 8;

/** The four octets of a dotted quad without leading zeros, or undefined for other text. */
export function findOctets(text: string): number[] | undefined {
  const octets: number[] = [];
  let octet = 0;
  let digits = 0;
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : dot;
    if (code === dot) {
      if (digits === 0 || octets.length === 4) return undefined;
      octets.push(octet);
      octet = 0;
      digits = 0;
      continue;
    }
    const digit = hexDigit(code);
    if (digit < 0 || digit > 9 || (digits > 0 && octet === 0)) return undefined;
    octet = octet * 10 + digit;
    digits += 1;
    if (octet > 255) return undefined;
  }
  return octets.length === 4 ? octets : undefined;
}

/** The eight groups of an IPv6 address in any text of RFC 4291 §2.2, or undefined for other text. */
export function findGroups(text: string): number[] | undefined {
  const groups: number[] = [];
  /** Number of groups before `::`. */
  let gap: number | undefined;
  let group = 0;
  let digits = 0;
  let i = 0;
  if (text.startsWith("::")) {
    gap = 0;
    i = 2;
  }
  for (; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === colon) {
      if (digits > 0) groups.push(group);
      else if (gap === undefined && groups.length > 0) gap = groups.length;
      else return undefined;
      group = 0;
      digits = 0;
      continue;
    }
    if (code === dot) {
      const octets = findOctets(text.slice(i - digits));
      if (!octets) return undefined;
      const [a = 0, b = 0, c = 0, d = 0] = octets;
      groups.push(a * 256 + b, c * 256 + d);
      return filled(groups, gap);
    }
    const digit = hexDigit(code);
    digits += 1;
    if (digit < 0 || digits > 4) return undefined;
    group = group * 16 + digit;
  }
  if (digits > 0) groups.push(group);
  else if (gap !== groups.length) return undefined;
  return filled(groups, gap);
}

/** `::` stands for one group at least. @param groups is filled up in place */
function filled(groups: number[], gap: number | undefined): number[] | undefined {
  const { length } = groups;
  if (gap === undefined) return length === groupCount ? groups : undefined;
  if (length >= groupCount) return undefined;
  const moved = groupCount - length;
  for (let i = groupCount - 1; i >= gap; i--) groups[i] = i >= gap + moved ? (groups[i - moved] ?? 0) : 0;
  return groups;
}

/** RFC 5952: lower case, without leading zeros, and `::` for the first of the longest runs of two or more zeros. */
export function writeGroups(groups: readonly number[]): string {
  let start = groupCount;
  let longest = 1;
  let run = 0;
  for (let i = 0; i < groupCount; i++) {
    run = groups[i] === 0 ? run + 1 : 0;
    if (run <= longest) continue;
    longest = run;
    start = i + 1 - run;
  }
  let text = "";
  for (let i = 0; i < groupCount; i++) {
    if (i === start) {
      text += "::";
      i += longest - 1;
      continue;
    }
    if (text !== "" && !text.endsWith("::")) text += ":";
    text += (groups[i] ?? 0).toString(16);
  }
  return text;
}

/** 0 … 15, or -1. */
function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const lower = code | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}
