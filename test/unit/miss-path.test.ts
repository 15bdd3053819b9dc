// The way of a miss in the thread: the bytes that it sends are those of the codecs, and what it cannot answer is handed over. System calls are
// played by a kernel in memory.
import { beforeEach, describe, expect, test } from "vitest";
import { Pace } from "../../common/pace.ts";
import { encodeEntry, encodePortLookUp } from "../../node-agent/kernel/codec/neighbour-codec.ts";
import { encodeMessage } from "../../node-agent/kernel/codec/netlink-codec.ts";
import { encodeReply } from "../../node-agent/kernel/codec/packet-codec.ts";
import type { LeanCalls } from "../../node-agent/kernel/miss-thread/lean-calls.ts";
import { MadeUpMisses } from "../../node-agent/kernel/miss-thread/made-up-misses.ts";
import { MissPath, memoryBytes, places, type ServedNetwork } from "../../node-agent/kernel/miss-thread/miss-path.ts";
import { Questions } from "../../node-agent/kernel/miss-thread/questions.ts";
import { RecordRing, type ThreadRecord } from "../../node-agent/kernel/miss-thread/record-ring.ts";
import { clockOriginMs, control } from "../../node-agent/kernel/miss-thread/shared.ts";
import { families, replyTemplate, requestTemplate } from "../../node-agent/kernel/miss-thread/templates.ts";
import { Locations } from "../../node-agent/tables/locations.ts";
import { ReplicaTable } from "../../node-agent/tables/replica-table.ts";
import { ipToBytes } from "../../schema/address/index.ts";
import { arp } from "../../testkit/lab/frames.ts";
import { ip, mac, rev, vni, vtep } from "../support/addresses.ts";

const blue = vni(100);
const sockets = { misses: 1, requests: 2, frames: 3, deaf: 4, wake: 5 };
const questionSocket = 6;
const device = { ifindex: 11, bridgeIfindex: 12 };
const port = 13;
const asker = {
  4: { mac: mac("52:54:00:00:00:01"), ip: ip("10.0.0.1") },
  6: { mac: mac("52:54:00:00:00:01"), ip: ip("fd00::1") },
};
const target = { 4: ip("10.0.0.2"), 6: ip("fd00::2") };

/** The last of these four messages is acknowledged, and the first answered with the guest's port. */
class PlayedKernel implements LeanCalls {
  readonly sent: Buffer[] = [];
  readonly frames: { readonly bytes: Buffer; readonly port: number }[] = [];
  asked: Buffer[] = [];
  refuses = 0;
  woken = 0;
  private answers: Buffer[] = [];
  readonly buffer = new ArrayBuffer(memoryBytes);

  recv = (fd: number, at: number): number => {
    const from = fd === questionSocket ? this.asked : fd === sockets.requests ? this.answers : [];
    const bytes = from.shift();
    if (bytes) new Uint8Array(this.buffer).set(bytes, at);
    return bytes?.length ?? -1;
  };
  send = (_: number, at: number, length: number): number => {
    const bytes = Buffer.from(Buffer.from(this.buffer, at, length));
    this.sent.push(bytes);
    const seqs = [];
    for (let i = 0; i < bytes.length; i += bytes.readUInt32LE(i)) seqs.push(bytes.readUInt32LE(i + 8));
    const neighbour = Buffer.alloc(12);
    neighbour.writeInt32LE(port, 4);
    const errno = (value: number) => {
      const payload = Buffer.alloc(20);
      payload.writeInt32LE(-value);
      return payload;
    };
    this.answers = [
      encodeMessage(28, 0, seqs[0] ?? 0, neighbour),
      ...(this.refuses ? [encodeMessage(2, 0, seqs[1] ?? 0, errno(this.refuses))] : []),
      encodeMessage(2, 0, seqs[3] ?? 0, errno(0)),
    ];
    return length;
  };
  sendto = (_: number, at: number, length: number, __: number, to: number): number => {
    const bytes = Buffer.from(Buffer.from(this.buffer, at, length));
    this.frames.push({ bytes, port: Buffer.from(this.buffer, to, 20).readInt32LE(4) });
    return length;
  };
  setsockopt = () => 0;
  poll = () => 0;
  write = () => {
    this.woken += 1;
    return 1;
  };
}

function solicitation(): Buffer {
  const bytes = Buffer.alloc(14 + 40 + 32);
  bytes.set([0x33, 0x33, 0xff, 0, 0, 2, 0x52, 0x54, 0, 0, 0, 1, 0x86, 0xdd, 0x60]);
  bytes[20] = 58;
  bytes[54] = 135;
  bytes.set(ipToBytes(asker[6].ip), 22);
  bytes.set(ipToBytes(target[6]), 62);
  return bytes;
}

const question = (family: 4 | 6): Buffer =>
  family === 6
    ? solicitation()
    : arp({ operation: "request", senderMac: asker[4].mac, senderIp: asker[4].ip, targetIp: target[4] });

describe("the way of a miss in the thread", () => {
  let kernel: PlayedKernel;
  let ring: RecordRing;
  let path: MissPath;
  let table: ReplicaTable;
  let networks: Map<number, ServedNetwork>;

  beforeEach(() => {
    kernel = new PlayedKernel();
    ring = new RecordRing();
    const data = ring.dataFor({
      sockets,
      requests: families.flatMap((family) => families.map((vtepFamily) => requestTemplate(family, vtepFamily))),
      replies: families.map(replyTemplate),
      heatMs: 20,
    });
    path = new MissPath(kernel, kernel.buffer, 0, data, clockOriginMs());
    table = new ReplicaTable(blue, new Locations(), 7);
    networks = new Map();
    const questions = new Questions();
    const untilMs = Number.POSITIVE_INFINITY;
    const served = { slot: 3, ...device, socket: questionSocket, questions, table: table.shared, untilMs };
    networks.set(device.ifindex, { ...served, isMadeUp: false });
    ring.allow(3, 10);
  });

  const miss = (family: 4 | 6) => {
    const address = ipToBytes(target[family]);
    const body = Buffer.alloc(16);
    body.writeInt32LE(device.ifindex, 4);
    body.writeUInt16LE(4, 8);
    body.writeUInt16LE(4 + address.length, 12);
    body.writeUInt16LE(1, 14);
    const message = encodeMessage(30, 0, 0, Buffer.concat([body, address]));
    new Uint8Array(kernel.buffer).set(message, places.miss);
    path.take(message.length, networks);
  };
  const records = (): ThreadRecord[] => {
    const read: ThreadRecord[] = [];
    ring.read((each) => read.push(each));
    return read;
  };
  const register = (family: 4 | 6, at: string, more: object = {}) => {
    const binding = { mac: mac("52:54:00:ab:cd:ef"), host: "b", vtep: vtep(at), vtepPort: 4790, ...more };
    table.take({ key: { kind: "ip", vni: blue, ip: target[family] }, revision: rev(2 ** 33 + 5), binding });
    const shared = networks.get(device.ifindex);
    if (shared) networks.set(device.ifindex, { ...shared, table: table.shared });
    return binding;
  };

  test.each(
    families.flatMap((family) =>
      ["192.0.2.9", "2001:db8::9"].flatMap((at) => [
        { family, at },
        { family, at, more: { router: true as const } },
      ]),
    ),
  )("sends what the codecs encode: %o", ({ family, at, ...given }) => {
    const { more } = given as { more?: { router: true } };
    const { mac: targetMac, vtep: place, vtepPort } = register(family, at, more);
    kernel.asked = [question(family)];
    miss(family);
    const [request] = kernel.sent;
    const seq = request?.readUInt32LE(8) ?? 0;
    const entries = [
      encodeEntry({ kind: "tunnel", vni: blue, mac: targetMac, vtep: place, vtepPort, ...more }, device.ifindex),
      encodeEntry({ kind: "bridge", vni: blue, mac: targetMac }, device.ifindex),
      encodeEntry({ kind: "neighbour", vni: blue, ip: target[family], mac: targetMac }, device.ifindex),
    ];
    const expected = Buffer.concat([
      encodeMessage(30, 1, seq, encodePortLookUp(device.bridgeIfindex, asker[family].mac)),
      ...entries.map((payload, i) => encodeMessage(28, i === 2 ? 0x505 : 0x501, seq + 1 + i, payload)),
    ]);
    expect(request?.toString("hex")).toBe(expected.toString("hex"));
    const reply = encodeReply({ ip: target[family], mac: targetMac, router: more !== undefined }, asker[family]);
    expect(kernel.frames.map(({ bytes, port: out }) => [bytes.toString("hex"), out])).toEqual([
      [reply.toString("hex"), port],
    ]);
    expect(records()).toMatchObject([
      {
        kind: "answered",
        ifindex: device.ifindex,
        ip: target[family],
        answer: {
          repliedMs: expect.any(Number),
          revision: 2 ** 33 + 5,
          asker: asker[family],
          written: { mac: targetMac, vtep: place, vtepPort, ...more },
        },
      },
    ]);
  });

  const handedOver: Readonly<Record<string, () => void>> = {
    "nothing is registered": () => {},
    "the VM runs on this host": () => register(4, "192.0.2.1", { local: true }),
    "no question was heard": () => {
      register(4, "192.0.2.9");
      kernel.asked = [];
    },
    "the question is a probe of the address": () => {
      register(4, "192.0.2.9");
      const probe = {
        operation: "request",
        senderMac: asker[4].mac,
        senderIp: "0.0.0.0",
        targetIp: target[4],
      } as const;
      kernel.asked = [arp(probe)];
    },
    "the allowance is used up": () => {
      register(4, "192.0.2.9");
      ring.allow(3, 0);
    },
    "the table is being changed": () => {
      register(4, "192.0.2.9");
      const { version } = table.shared;
      Atomics.add(version, 0, 1);
    },
  };
  test.each(Object.keys(handedOver))("is left to the main thread, which is woken, if %s", (why) => {
    kernel.asked = [question(4)];
    handedOver[why]?.();
    miss(4);
    expect(kernel.sent).toEqual([]);
    expect(kernel.frames).toEqual([]);
    expect(kernel.woken).toBe(1);
    expect(records()).toEqual([{ kind: "missed", ifindex: device.ifindex, ip: target[4] }]);
  });

  test("a refusal of the kernel sends no reply, and the main thread has a record of what may have been written", () => {
    register(4, "192.0.2.9");
    kernel.asked = [question(4)];
    kernel.refuses = 105;
    miss(4);
    expect(kernel.frames).toEqual([]);
    const [each] = records();
    expect(each).toMatchObject({ kind: "answered" });
    expect(each?.kind === "answered" && each.answer.repliedMs).toBeUndefined();
  });

  test("answers no more than it is allowed, until they are counted", () => {
    register(4, "192.0.2.9");
    ring.allow(3, 2);
    for (let n = 0; n < 3; n++) {
      kernel.asked = [question(4)];
      miss(4);
    }
    expect(records().map(({ kind }) => kind)).toEqual(["answered", "answered", "missed"]);
    ring.allow(3, 1);
    kernel.asked = [question(4)];
    miss(4);
    expect(records().map(({ kind }) => kind)).toEqual(["answered"]);
  });

  test("runs on made-up data go the same way, and leave nothing: no record, no count, no byte that wakes", () => {
    const before = ring.words.slice();
    const madeUp = new MadeUpMisses(path, sockets.deaf);
    for (let n = 0; n < 4; n++) madeUp.run();
    expect(kernel.sent).toHaveLength(4);
    const devices = kernel.sent.flatMap((bytes) => bytes.readInt32LE(bytes.readUInt32LE(0) + 20));
    expect(new Set(devices)).toEqual(new Set([0x7fff_fffe]));
    expect([records(), kernel.woken]).toEqual([[], 0]);
    before[control.woken] = ring.words[control.woken] ?? 0;
    expect(ring.words).toEqual(before);
  });
});

test("waits get longer on a host that gives the thread its processor late, and shorter again", () => {
  const pace = new Pace(20, 320);
  expect([pace.heatMs(false), pace.heatMs(true)]).toEqual([0, 20]);
  for (let n = 0; n < 2_000; n++) pace.waited(pace.heatMs(true) + 100);
  expect(pace.heatMs(true)).toBe(320);
  for (let n = 0; n < 2_000; n++) pace.waited(pace.heatMs(true));
  expect(pace.heatMs(true)).toBe(20);
  expect(new Pace(0, 320).heatMs(true)).toBe(0);
});
