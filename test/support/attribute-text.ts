// The body of a netlink message as text, read without the agent's codec: the bytes of the head in hex, then every attribute as
// `type=hex`, or `type{…}` where it has the flag of nested ones.
const NLA_F_NESTED = 0x8000;

export function bodyText(headBytes: number, body: Buffer): string {
  return [body.toString("hex", 0, headBytes), ...attributesOf(body.subarray(headBytes))].join(" ");
}

export const hexOf = (text: string): string => Buffer.from(text).toString("hex");

function attributesOf(bytes: Buffer): string[] {
  const found: string[] = [];
  let at = 0;
  while (at < bytes.length) {
    const length = bytes.readUInt16LE(at);
    const type = bytes.readUInt16LE(at + 2);
    const value = bytes.subarray(at + 4, at + length);
    const isNested = (type & NLA_F_NESTED) !== 0;
    found.push(
      isNested ? `${type & ~NLA_F_NESTED}{${attributesOf(value).join(" ")}}` : `${type}=${value.toString("hex")}`,
    );
    // The next one begins at a multiple of four.
    at += Math.ceil(length / 4) * 4;
  }
  return found;
}
