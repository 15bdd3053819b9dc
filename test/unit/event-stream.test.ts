// Positions of the event stream as text, and events as bytes.
import { expect, test } from "vitest";
import { sseFraming, webSocketFraming } from "../../controller/events/framing.ts";
import { parseRevision } from "../../schema/address/index.ts";
import { findCursor, formatCursor } from "../../schema/events/index.ts";

const epoch = "0b8f3f0e-6d0a-4a55-9a0e-3f5f6f0f7c11";

test.each(["0", "17", "17.3", `${epoch}/17`, `${epoch}/17.3`])("%s is a position, and is parsed back", (text) => {
  const cursor = findCursor(text);
  expect(cursor && formatCursor(cursor)).toBe(text);
});

test.each(["", "-1", "1.", ".1", "1.2.3", "1/2", "x", " 1", "1 ", "1e3", `${epoch}/`, "1234567890123456"])(
  '"%s" is not a position',
  (text) => expect(findCursor(text)).toBeUndefined(),
);

test.each([
  [125, 2],
  [126, 4],
  [65_535, 4],
  [65_536, 10],
])("a text of %i bytes is one unmasked frame with a header of %i", (length, headBytes) => {
  const frame = webSocketFraming.frame({ text: "x".repeat(length) });
  expect(frame).toHaveLength(headBytes + length);
  expect(frame[0]).toBe(0x81);
  const told = headBytes === 2 ? frame[1] : headBytes === 4 ? frame.readUInt16BE(2) : Number(frame.readBigUInt64BE(2));
  expect(told).toBe(length);
});

test("a frame's length counts bytes, not characters", () => {
  expect(webSocketFraming.frame({ text: "ü€" })[1]).toBe(5);
});

test("a change has its position as id; what has no position in the log has none; a bookmark has a name", () => {
  const cursor = { epoch, revision: parseRevision(17), index: 3 };
  expect(String(sseFraming.frame({ text: "{}", cursor }))).toBe(`id: ${epoch}/17.3\ndata: {}\n\n`);
  expect(String(sseFraming.frame({ text: "{}" }))).toBe("data: {}\n\n");
  const bookmark = { text: "{}", cursor: { epoch, revision: parseRevision(17) }, isBookmark: true };
  expect(String(sseFraming.frame(bookmark))).toBe(`event: bookmark\nid: ${epoch}/17\ndata: {}\n\n`);
});
