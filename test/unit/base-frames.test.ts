// Parts of a network's base: a binding that is read in one turn must not leave in a later one, behind a delta that removed it.
import { expect, test } from "vitest";
import { baseFrames } from "../../controller/agents/frames.ts";
import type { Answer } from "../../schema/address/index.ts";
import { maxFrameBytes } from "../../schema/agent/index.ts";
import { ip, mac, rev, vni, vtep } from "../support/addresses.ts";

const blue = vni(100);
const answer = (n: number): Answer => ({
  key: { kind: "ip", vni: blue, ip: ip(`10.0.${n >> 8}.${n & 255}`) },
  revision: rev(1),
  binding: { mac: mac("52:54:00:00:00:01"), host: "b", vtep: vtep("192.0.2.2"), vtepPort: 4789 },
});

test.each([
  ["whole", () => false, undefined],
  ["of what changed, with long stretches that the host has", (n: number) => n % 1_000 > 40, rev(1)],
] as const)("each part of a base that is %s has all that was read for it", (_, isKnown, since) => {
  let read = 0;
  function* answers(): Generator<Answer | undefined> {
    for (let n = 1; n < 5_000; n++) {
      if (!isKnown(n)) read += 1;
      yield isKnown(n) ? undefined : answer(n);
    }
  }
  let sent = 0;
  let pauses = 0;
  const ends: boolean[] = [];
  for (const text of baseFrames(() => rev(9), { id: 1, vni: blue }, answers(), since)) {
    if (text === undefined) pauses += 1;
    else {
      const { records, end } = JSON.parse(text);
      sent += records.length;
      ends.push(end);
      expect(text.length).toBeLessThan(maxFrameBytes);
    }
    expect(sent).toBe(read);
  }
  expect(read).toBeGreaterThan(200);
  expect(pauses > 0).toBe(since !== undefined);
  expect(ends).toEqual([...Array(ends.length - 1).fill(false), true]);
});
