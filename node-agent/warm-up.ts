// Runs misses with made-up data through a core of its own before the first real one: code takes milliseconds when V8 runs it for
// the first time, and microseconds later. Misses are rare, so any may be the first. (docs/adr/0173)
import { setImmediate as nextTurn } from "node:timers/promises";
import { pino } from "pino";
import { Slices } from "../common/cooperative.ts";
import { type MacAddress, parseIp, parseMac, parseRevision, parseVni, parseVtep } from "../schema/address/index.ts";
import { type AgentFrame, parseControllerFrame, protocolVersions, recordText } from "../schema/agent/index.ts";
import { Uplink } from "./controller-link/uplink.ts";
import { type Clock, createCore, type KernelEdges } from "./core.ts";
import { decodeMiss, decodeNeighbourMessage } from "./kernel/codec/neighbour-codec.ts";
import { encodeMessage, splitMessages } from "./kernel/codec/netlink-codec.ts";
import { decodeHeard } from "./kernel/codec/packet-codec.ts";
import type { Request } from "./kernel/sockets/request-socket.ts";
import { KernelTables } from "./kernel/tables/kernel-tables.ts";
import type { Miss } from "./misses/miss.ts";
import type { Heard } from "./misses/waiting.ts";
import { defaultCaps } from "./tables/ageing.ts";

/** Enough for V8's baseline code; more costs start-up time and gains little. */
const rounds = 10;
const vni = parseVni(1);
const device = { ifindex: 1, bridgeIfindex: 2, vni, vtepPort: 4789 };
const clock: Clock = {
  nowMs: () => performance.now(),
  random: () => 0,
  turns: new Slices(),
  afterReading: (callback) => callback(),
  later: () => {},
};

/** Of the newest version. */
const reader = { protocol: protocolVersions.max, host: "warm-up" };

export async function warmUp(): Promise<void> {
  const kernel = new MadeUpKernel();
  const uplink = new Uplink();
  const core = createCore({
    host: "warm-up",
    idleMs: Number.POSITIVE_INFINITY,
    caps: defaultCaps,
    kernel,
    uplink,
    clock,
    openGuards: () => ({ following: [], underlay: undefined, around: [] }),
    trust: () => {},
    log: pino({ level: "silent" }),
  });
  const send = (question: AgentFrame): boolean => {
    const frame = parseControllerFrame(answerTo(question), reader);
    if (frame?.type === "answers") core.session.onAnswers(frame);
    return true;
  };
  uplink.attach({ isLive: true, send });
  core.announcer?.attend(vni, device.bridgeIfindex, device.ifindex);
  for (let round = 0; round < rounds; round++) {
    for (const miss of kernel.miss(round + 2)) {
      core.crowding.onMiss(miss, device.ifindex);
      core.resolver.onMiss(miss);
    }
    await nextTurn();
  }
  await core.close();
}

/** One network, a guest in it that asks, and tables that take everything. */
class MadeUpKernel implements KernelEdges {
  readonly devices = {
    hasLeftovers: false,
    deviceOf: () => device,
    vniOfBridge: () => vni,
    vnis: () => [vni],
    epochOf: () => undefined,
    adoptedFor: () => undefined,
    ensure: async () => [],
    remove: async () => {},
    sweep: async () => {},
  };
  readonly bridgePorts = { list: async () => [], find: async () => undefined, apply: async () => [] };
  readonly tables = new KernelTables({ send: acknowledge, dumpInTurns: async function* () {} }, this.devices.deviceOf);
  readonly misses = { drops: () => 0, shutOut: () => {} };
  readonly guests = {
    hear: (bridgeIfindex: number) => ({
      bridgeIfindex,
      drain: () => this.heard.splice(0),
      ignore: () => {},
      close: () => {},
    }),
    portsOf: () => ({ portOf: async () => 3, all: async () => [3] }),
    sender: { send: (frame: Buffer) => decodeHeard(frame) === undefined, close: () => {} },
  };
  private readonly heard: Heard[] = [];

  /** A guest asks for 192.0.2.<n>, or for 2001:db8::<n>, and the kernel misses it. */
  miss(n: number): Miss[] {
    const asker = { mac: macOf(1), ip: parseIp(n % 2 === 0 ? "192.0.2.1" : "2001:db8::1") };
    return splitMessages(missMessage(n)).flatMap((message) => {
      const neighbour = decodeNeighbourMessage(message);
      const miss = neighbour && decodeMiss(neighbour, () => vni);
      if (miss?.kind !== "l3miss") return [];
      this.heard.push({ asker, claim: asker, target: miss.ip });
      return [miss];
    });
  }
}

async function acknowledge(requests: readonly Request[]): Promise<{ readonly errno: number }[]> {
  Buffer.concat(requests.map(({ type, flags, payload }, seq) => encodeMessage(type, flags, seq, payload)));
  return requests.map(() => ({ errno: 0 }));
}

/** As the kernel encodes it: address families alternate. */
function missMessage(n: number): Buffer {
  const address =
    n % 2 === 0 ? Buffer.of(192, 0, 2, n) : Buffer.from(`20010db8${n.toString(16).padStart(24, "0")}`, "hex");
  const body = Buffer.alloc(12 + 4 + address.length);
  body.writeUInt8(address.length === 4 ? 2 : 10, 0);
  body.writeInt32LE(device.ifindex, 4);
  body.writeUInt16LE(4, 8);
  body.writeUInt16LE(4 + address.length, 12);
  body.writeUInt16LE(1, 14);
  address.copy(body, 16);
  return encodeMessage(30, 0, 0, body);
}

/** Every address has a MAC of its own. */
function answerTo(question: AgentFrame): string {
  if (question.type !== "resolve") return JSON.stringify(question);
  const { id, questions } = JSON.parse(JSON.stringify(question)) as typeof question;
  const asOf = parseRevision(id);
  const binding = { host: "far", vtep: parseVtep("198.51.100.1"), vtepPort: 4789 };
  const records = questions.map(({ asker: _, ...key }, n) =>
    recordText({ key, revision: asOf, binding: { ...binding, mac: macOf(id + n) } }),
  );
  return `{"type":"answers","id":${id},"asOf":${asOf},"records":[${records.join(",")}]}`;
}

function macOf(n: number): MacAddress {
  return parseMac(`02:00:00:00:00:${n.toString(16).padStart(2, "0")}`);
}
