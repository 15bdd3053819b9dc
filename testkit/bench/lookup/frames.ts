// Requests as bytes that are made beforehand, and readers that count answers: full clients would be the bottleneck. Pure except for
// the readers' own state.

/** Any: a mask of zeros is a shortcut for some servers. */
const mask = Buffer.of(0x9d, 0x3b, 0x51, 0xe7);

/** A text frame of a client, masked (RFC 6455 §5.2). @throws RangeError beyond 64 KiB */
export function clientFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  if (payload.length > 0xffff) throw new RangeError(`a frame of ${payload.length} bytes`);
  const isShort = payload.length < 126;
  const head = Buffer.alloc(isShort ? 2 : 4);
  head[0] = 0x81;
  head[1] = 0x80 | (isShort ? payload.length : 126);
  if (!isShort) head.writeUInt16BE(payload.length, 2);
  for (let i = 0; i < payload.length; i++) payload[i] = (payload[i] as number) ^ (mask[i & 3] as number);
  return Buffer.concat([head, mask, payload]);
}

/** Of one connection. */
export interface AnswerReader {
  /** @returns answers that are complete with this chunk */
  take(chunk: Buffer): number;
}

/** Counts the frames of a server whose text begins with `prefix`. */
export class FrameReader implements AnswerReader {
  private rest: Buffer = Buffer.alloc(0);

  constructor(private readonly prefix: string) {}

  take(chunk: Buffer): number {
    let bytes = this.rest.length > 0 ? Buffer.concat([this.rest, chunk]) : chunk;
    let count = 0;
    for (;;) {
      const frame = frameIn(bytes);
      if (!frame) break;
      if (bytes.toString("latin1", frame.from, frame.from + this.prefix.length) === this.prefix) count += 1;
      bytes = bytes.subarray(frame.to);
    }
    this.rest = bytes;
    return count;
  }
}

/** Where the payload of the first frame is, undefined while it is not there as a whole. Frames of servers are not masked. */
function frameIn(bytes: Buffer): { readonly from: number; readonly to: number } | undefined {
  if (bytes.length < 2) return undefined;
  const short = (bytes[1] as number) & 0x7f;
  const from = short === 126 ? 4 : short === 127 ? 10 : 2;
  if (bytes.length < from) return undefined;
  const length = from === 2 ? short : from === 4 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  return bytes.length < from + length ? undefined : { from, to: from + length };
}

/** An echo: as many bytes as a request has are an answer. */
export class EchoReader implements AnswerReader {
  private bytes = 0;

  constructor(private readonly length: number) {}

  take(chunk: Buffer): number {
    this.bytes += chunk.length;
    const count = Math.floor(this.bytes / this.length);
    this.bytes -= count * this.length;
    return count;
  }
}

/** Answers of HTTP/1.1 with a length, one at a time. */
export class HttpReader implements AnswerReader {
  private text = "";

  /** @throws Error for another status than 200 */
  take(chunk: Buffer): number {
    this.text += chunk.toString("latin1");
    const head = this.text.indexOf("\r\n\r\n");
    const length = Number(/content-length: (\d+)/i.exec(this.text)?.[1]);
    if (head < 0 || this.text.length < head + 4 + length) return 0;
    if (this.text.slice(9, 12) !== "200") throw new Error(`answered ${this.text}`);
    this.text = "";
    return 1;
  }
}
