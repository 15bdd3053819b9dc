import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { writerFor } from "../../controller/agents/frames.ts";
import {
  type Answer,
  type PreparedChange,
  parseIp,
  parseMac,
  parseRevision,
  parseVni,
  parseVtep,
} from "../../schema/address/index.ts";
import {
  type AgentFrame,
  type ControllerFrame,
  chunk,
  FrameError,
  maxFrameBytes,
  parseAgentFrame,
  parseControllerFrame,
} from "../../schema/agent/index.ts";

const vni = parseVni(100);
const ip = parseIp("10.20.1.1");
const mac = parseMac("52:54:00:00:00:01");
const vtep = parseVtep("192.0.2.1");
const asOf = parseRevision(7);
const answers = [
  { key: { kind: "ip", vni, ip }, revision: asOf, binding: { mac, host: "a", vtep, vtepPort: 4789, router: true } },
  { key: { kind: "mac", vni, mac }, revision: asOf, binding: null },
] as const;

const agentFrames: AgentFrame[] = [
  { type: "hello", protocol: { min: 1, max: 2 }, version: "0.1.0", host: "a", vtep, vtepPort: 4789, epoch: "e", asOf },
  { type: "hello", protocol: { min: 1, max: 1 }, version: "0.1.0", host: "a", vtepPort: 4789 },
  {
    type: "interest",
    keys: [
      { kind: "ip", vni, ip },
      { kind: "mac", vni, mac },
    ],
    end: false,
  },
  {
    type: "resolve",
    id: 1,
    questions: [
      { kind: "ip", vni, ip, asker: parseIp("10.20.1.2") },
      { kind: "mac", vni, mac },
    ],
  },
  { type: "release", id: 8, keys: [{ kind: "mac", vni, mac }] },
  { type: "applied", revision: asOf, problems: ["x"] },
  { type: "interest", keys: [{ kind: "mac", vni, mac }], held: "tombstone", end: true },
  { type: "subscribe", id: 9, vni },
  { type: "unsubscribe", id: 10, vni },
];
const reader = { protocol: 1, host: "a" };
const parseAs = (protocol: number) => (text: string) => parseControllerFrame(text, { protocol, host: "a" });
const network = { name: "blue", vni, mtu: 1450, revision: asOf };
const controllerFrames: ControllerFrame[] = [
  { type: "welcome", protocol: 1, epoch: "e", asOf, host: "a", vtep, vtepPort: 4789 },
  { type: "snapshot", asOf, networks: [network], answers, end: true },
  { type: "answers", id: 1, asOf, answers },
  { type: "changes", asOf, networks: [network], gone: [vni], answers, self: { vtep, vtepPort: 8472 }, end: false },
  { type: "heartbeat", asOf },
];

describe("every frame", () => {
  test.each(agentFrames)("of an agent is parsed unchanged: $type", (frame) => {
    expect(parseAgentFrame(JSON.stringify(frame))).toEqual(frame);
  });
  test.each(controllerFrames)("of the controller is parsed unchanged: $type", (frame) => {
    expect(parseControllerFrame(JSON.stringify(frame), reader)).toEqual(frame);
  });
  test.each([...agentFrames, ...controllerFrames])(
    "with fields of a newer version loses only those: $type",
    (frame) => {
      const text = JSON.stringify({ ...frame, future: { x: 1 } });
      expect(parseAgentFrame(text) ?? parseControllerFrame(text, reader)).toEqual(frame);
    },
  );
});

const local: Answer = {
  key: { kind: "mac", vni, mac },
  revision: asOf,
  binding: { mac, host: "a", vtep, vtepPort: 4789, local: true, guestPort: "tap-ü" },
};
const [remote, absent] = answers;
const all: Answer[] = [{ ...remote, binding: { ...remote.binding, host: "c" } }, absent, local];
const prepared: PreparedChange[] = [
  { vni, mac, ips: [parseIp("10.0.0.1"), parseIp("fd00::1")], port: "tap-ü" },
  { vni, mac, ips: [] },
  { vni, mac },
];
const push = { networks: [network], gone: [vni], answers: all, prepared, self: { vtep, vtepPort: 8472 } };
const member = { host: "b", vtep, port: 4789 };

describe.each([1, 2])("version %s", (protocol) => {
  const writer = writerFor(protocol);
  const read = (text: string | undefined) => parseControllerFrame(text ?? "", { protocol, host: "a" });

  test("writes every frame so that the host of a VM reads the same answers", () => {
    expect(writer.answers(1, asOf, all).map(read)).toEqual([{ type: "answers", id: 1, asOf, answers: all }]);
    expect(read(writer.seed(asOf, all))).toEqual({ type: "seed", asOf, answers: all });
    const arriving = prepared.filter((each) => each.ips !== undefined);
    const content = { networks: [network], answers: [all[0], undefined, ...all.slice(1)], prepared: arriving };
    const { prepared: _, ...others } = push;
    const [inSnapshot, inChanges] = protocol === 1 ? [{}, others] : [{ prepared: arriving }, push];
    expect([...writer.snapshot(asOf, content, asOf)].map(read)).toEqual([
      { type: "snapshot", asOf, since: asOf, networks: [network], answers: all, ...inSnapshot, end: true },
    ]);
    expect([...writer.changes(asOf, push)].map(read)).toEqual([{ type: "changes", asOf, ...inChanges, end: true }]);
    const table = read(writer.table(asOf, { vni, whole: true, members: [member], end: true }, "a"));
    expect(table).toMatchObject({ vni, whole: true, hosts: [{ host: "b", vtep }], end: true });
  });

  test("another host reads neither that a VM is its own nor the VM's port", () => {
    const text = writerFor(2).seed(asOf, [{ ...local, binding: local.binding && { ...local.binding, host: "b" } }]);
    const frame = parseControllerFrame(text, { protocol: 2, host: "a" });
    expect(frame).toMatchObject({ answers: [{ binding: { mac, host: "b", vtep, vtepPort: 4789 } }] });
    expect(JSON.stringify(frame)).not.toMatch(/local|guestPort/);
  });
});

test.each(['{"vni":1}', '{"vni":1,"mac":"52:54:00:00:00:01","host":"b","vtep":"192.0.2.1"}'])(
  "%s is not a record",
  (record) => {
    const text = `{"type":"seed","asOf":1,"records":[${record}]}`;
    expect(() => parseControllerFrame(text, { protocol: 2, host: "a" })).toThrow(FrameError);
  },
);

test("a frame type of a newer version is ignored", () => {
  expect(parseAgentFrame('{"type":"future"}')).toBeUndefined();
  expect(parseControllerFrame('{"type":"toString"}', reader)).toBeUndefined();
});

test("addresses are converted to their canonical text", () => {
  const frame = { type: "interest", keys: [{ kind: "ip", vni: 100, ip: "FD00:0::1" }], end: true };
  expect(parseAgentFrame(JSON.stringify(frame))).toMatchObject({ keys: [{ ip: "fd00::1" }] });
});

test.each([
  "",
  "null",
  "[]",
  '{"type":1}',
  '{"type":"heartbeat","asOf":1,"__proto__":{"x":1}}',
  '{"type":"interest","keys":[{"kind":"ip","vni":0,"ip":"10.0.0.1"}],"end":true}',
  '{"type":"interest","keys":[{"kind":"ip","vni":1,"ip":"224.0.0.1"}],"end":true}',
  '{"type":"interest","keys":[{"kind":"mac","vni":1,"ip":"10.0.0.1"}],"end":true}',
  '{"type":"applied","revision":-1,"problems":[]}',
  '{"type":"hello"}',
])("%s is not a frame", (text) => expect(() => parseAgentFrame(text)).toThrow(FrameError));

test("any input is a frame, is ignored, or is a FrameError", () => {
  const mutated = fc
    .tuple(
      fc.constantFrom(...agentFrames, ...controllerFrames),
      fc.nat(),
      fc.string({ maxLength: 3 }),
      fc.nat({ max: 4 }),
    )
    .map(([frame, at, insert, remove]) => {
      const text = JSON.stringify(frame);
      const i = at % text.length;
      return text.slice(0, i) + insert + text.slice(i + remove);
    });
  fc.assert(
    fc.property(fc.oneof(mutated, fc.json(), fc.string()), (text) => {
      for (const parse of [parseAgentFrame, parseAs(1), parseAs(2)]) {
        try {
          parse(text);
        } catch (error) {
          expect(error).toBeInstanceOf(FrameError);
        }
      }
    }),
    { numRuns: 1_000 },
  );
});

test("chunks keep order and content, stay within the limit, and an empty set has one", () => {
  expect(chunk([])).toEqual([[]]);
  fc.assert(
    fc.property(
      fc.array(fc.string({ maxLength: 200 }), { maxLength: 200 }),
      fc.integer({ min: 300, max: 2_000 }),
      (items, max) => {
        const chunks = chunk(items, max);
        expect(chunks.flat()).toEqual(items);
        for (const each of chunks)
          if (each.length > 1) expect(Buffer.byteLength(JSON.stringify(each))).toBeLessThanOrEqual(max + 1);
      },
    ),
  );
  expect(maxFrameBytes).toBe(65_536);
});
