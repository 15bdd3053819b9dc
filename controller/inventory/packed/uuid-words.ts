// UUIDs (RFC 9562 §4) as four 32-bit words.

const dash = 45;
const textLength = 36;
const isDash = (at: number): boolean => at === 8 || at === 13 || at === 18 || at === 23;

/** @returns whether the text is a UUID in lower case: another one has no words, and `into` any content */
export function readUuid(text: string, into: [number, number, number, number]): boolean {
  if (text.length !== textLength) return false;
  let digits = 0;
  let word = 0;
  for (let at = 0; at < textLength; at++) {
    const code = text.charCodeAt(at);
    if (isDash(at)) {
      if (code !== dash) return false;
      continue;
    }
    const digit = code >= 48 && code <= 57 ? code - 48 : code >= 97 && code <= 102 ? code - 87 : -1;
    if (digit < 0) return false;
    word = (word << 4) | digit;
    digits += 1;
    if (digits % 8 === 0) into[digits / 8 - 1] = word;
  }
  return true;
}

const octets = Array.from({ length: 256 }, (_, octet) => octet.toString(16).padStart(2, "0"));
const octet = (word: number, shift: number): string => octets[(word >>> shift) & 0xff] ?? "";

export function formatUuid(a: number, b: number, c: number, d: number): string {
  return (
    `${octet(a, 24)}${octet(a, 16)}${octet(a, 8)}${octet(a, 0)}-${octet(b, 24)}${octet(b, 16)}-${octet(b, 8)}${octet(b, 0)}` +
    `-${octet(c, 24)}${octet(c, 16)}-${octet(c, 8)}${octet(c, 0)}${octet(d, 24)}${octet(d, 16)}${octet(d, 8)}${octet(d, 0)}`
  );
}
