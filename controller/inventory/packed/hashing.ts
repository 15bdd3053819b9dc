// Hashes of keys, 32 bits, signed. They begin with a number that is another in every process: who chooses names and
// addresses cannot choose which of them collide.

const seed = (Math.random() * 2 ** 32) | 0;
/** FNV's factor. */
const factor = 0x01000193;

/** Over UTF-16 code units. */
export function hashOfText(text: string): number {
  let hash = seed;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), factor);
  return mixed(hash);
}

/** As `hashOfText`, of Latin-1 bytes. */
export function hashOfBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = seed;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ (bytes[i] ?? 0), factor);
  return mixed(hash);
}

export function hashOfWords(a: number, b = 0, c = 0, d = 0, e = 0): number {
  let hash = Math.imul(seed ^ a, 0x9e3779b1);
  hash = Math.imul(hash ^ (hash >>> 15) ^ b, 0x85ebca77);
  hash = Math.imul(hash ^ (hash >>> 13) ^ c, 0xc2b2ae3d);
  hash = Math.imul(hash ^ (hash >>> 16) ^ d, 0x27d4eb2f);
  return mixed(Math.imul(hash ^ (hash >>> 15) ^ e, 0x165667b1));
}

/** Spreads differences over all bits (the finalizer of MurmurHash3). */
function mixed(hash: number): number {
  let h = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
