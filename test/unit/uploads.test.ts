import { describe, expect, test } from "vitest";
import { defaultUploadLimits, Uploads } from "../../controller/bulk/uploads.ts";

const caller = { name: "token 1", isNarrowed: true };

async function* parts(text: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < text.length; at += size) yield text.subarray(at, at + size);
}

async function received(text: Buffer, size: number, memoryBytes: number): Promise<Buffer[]> {
  const upload = new Uploads({ ...defaultUploadLimits, memoryBytes }).begin(caller);
  await upload.receive(parts(text, size));
  const chunks: Buffer[] = [];
  for await (const chunk of upload.chunks()) chunks.push(chunk);
  await upload.close();
  return chunks;
}

describe("an upload", () => {
  const text = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i & 255));

  test.each([
    ["in memory", 1_000_000],
    ["half in a file", 150_000],
    ["in a file", 0],
  ])("equals what was sent, %s, in few blocks however small its parts", async (_, memoryBytes) => {
    for (const size of [1, 7, 65_536, 70_000, 300_000]) {
      const chunks = await received(text, size, memoryBytes);
      expect(Buffer.concat(chunks).equals(text)).toBe(true);
      expect(chunks.length).toBeLessThanOrEqual(7);
    }
  });

  test("is small as long as none of it is in a file", async () => {
    const uploads = new Uploads({ ...defaultUploadLimits, memoryBytes: 1_000 });
    for (const [bytes, isSmall] of [
      [1_000, true],
      [1_001, false],
    ] as const) {
      const upload = uploads.begin(caller);
      await upload.receive(parts(text.subarray(0, bytes), 100));
      expect(upload.isSmall).toBe(isSmall);
      await upload.close();
    }
  });

  test("frees its room, whether it was complete or too large", async () => {
    const uploads = new Uploads({ ...defaultUploadLimits, maxNarrowedBytes: 100_000, totalBytes: 150_000 });
    const whole = uploads.begin(caller);
    await whole.receive(parts(text.subarray(0, 100_000), 1_000));
    const second = uploads.begin(caller);
    await expect(second.receive(parts(text.subarray(0, 100_000), 1_000))).rejects.toThrow("too many large imports");
    expect(() => uploads.begin(caller)).toThrow("2 imports by this caller are in progress");
    await second.close();
    await whole.close();
    const large = uploads.begin(caller);
    await expect(large.receive(parts(text, 1_000))).rejects.toThrow("at most 100000 bytes");
    await large.close();
    expect(uploads.size).toBe(0);
    const again = uploads.begin(caller);
    await again.receive(parts(text.subarray(0, 100_000), 1_000));
    await again.close();
  });
});
