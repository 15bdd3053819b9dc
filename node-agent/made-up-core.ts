// A core of its own around one made-up network: a guest that asks, tables that take everything, and what a controller would answer. The device
// cannot exist, so that `calls` may be those of the kernel: it refuses each of them.
import { pino } from "pino";
import { Slices } from "../common/cooperative.ts";
import { type MacAddress, parseIp, parseMac, parseRevision, parseVni, parseVtep } from "../schema/address/index.ts";
import { type AgentFrame, recordText } from "../schema/agent/index.ts";
import { type Channel, Uplink } from "./controller-link/uplink.ts";
import { type Clock, createCore, type KernelEdges } from "./core.ts";
import { encodeMessage } from "./kernel/codec/netlink-codec.ts";
import { madeUpIfindex } from "./kernel/miss-thread/miss-path.ts";
import type { Request } from "./kernel/sockets/request-socket.ts";
import { KernelTables } from "./kernel/tables/kernel-tables.ts";
import type { Miss } from "./misses/miss.ts";
import type { Heard } from "./misses/waiting.ts";
import { defaultCaps } from "./tables/ageing.ts";

export const madeUpHost = "made-up";
const vni = parseVni(1);
const device = { ifindex: madeUpIfindex, bridgeIfindex: madeUpIfindex, vni, vtepPort: 4789 };
const clock: Clock = {
  nowMs: () => performance.now(),
  wallMs: Date.now,
  random: () => 0,
  turns: new Slices(),
  afterReading: (callback) => callback(),
  later: () => {},
};

/** What the made-up network uses of the kernel. */
export interface MadeUpCalls {
  request(requests: readonly Request[]): Promise<void>;
  /** Guests' requests are read before a miss is decided on. */
  hear(): void;
  /** Looks for the port of the guest. */
  locate(bridgeIfindex: number, mac: MacAddress): Promise<void>;
  /** Sends the guest its answer. */
  reply(frame: Buffer, ifindex: number): void;
}

export class MadeUpCore {
  private readonly heard: Heard[] = [];
  private readonly uplink = new Uplink();
  private readonly core;

  constructor(calls: MadeUpCalls, controller: Channel) {
    this.core = createCore({
      host: madeUpHost,
      idleMs: Number.POSITIVE_INFINITY,
      caps: defaultCaps,
      kernel: kernelOf(calls, this.heard),
      uplink: this.uplink,
      clock,
      openGuards: () => ({ following: [], underlay: undefined, around: [] }),
      trust: () => {},
      log: pino({ level: "silent" }),
    });
    this.uplink.attach(controller);
    this.core.announcer?.attend(vni, device.bridgeIfindex, device.ifindex);
  }

  /** The network of a message of the kernel. */
  readonly vniOf = (ifindex: number) => (ifindex === device.ifindex ? vni : undefined);

  get session() {
    return this.core.session;
  }

  readonly onMiss = (miss: Miss): void => {
    if (miss.kind !== "l3miss") return;
    const asker = { mac: macOf(1), ip: parseIp(miss.ip.includes(":") ? "2001:db8::1" : "192.0.2.1") };
    this.heard.push({ asker, claim: asker, target: miss.ip });
    this.core.crowding.onMiss(miss, device.ifindex);
    this.core.resolver.onMiss(miss);
  };

  /** Nothing was ever answered. */
  forget(): void {
    this.core.held.forgetNetwork(vni);
  }

  close(): Promise<void> {
    return this.core.close();
  }
}

function kernelOf(calls: MadeUpCalls, heard: Heard[]): KernelEdges {
  const devices = {
    hasLeftovers: false,
    deviceOf: () => device,
    vniOfBridge: () => vni,
    vnis: () => [vni],
    epochOf: () => undefined,
    adoptedFor: () => undefined,
    disown: async () => {},
    isDisowned: () => false,
    survey: () => undefined,
    ensure: async () => [],
    portWarnings: async () => [],
    remove: async () => {},
    sweep: async () => {},
  };
  // The kernel has no such device: what it says is taken for an acknowledgement.
  const send = (requests: readonly Request[]) => calls.request(requests).then(() => requests.map(() => ({ errno: 0 })));
  return {
    devices,
    bridgePorts: { list: async () => [], find: async () => undefined, apply: async () => [] },
    tables: new KernelTables({ send, dumpInTurns: async function* () {} }, devices.deviceOf),
    misses: { drops: () => 0, shutOut: () => {} },
    guests: {
      hear: (bridgeIfindex: number) => ({
        bridgeIfindex,
        drain: () => {
          calls.hear();
          return heard.splice(0);
        },
        ignore: () => {},
        close: () => {},
      }),
      portsOf: (bridgeIfindex) => ({
        portOf: (mac) => calls.locate(bridgeIfindex, mac).then(() => madeUpIfindex),
        all: async () => [madeUpIfindex],
      }),
      sender: {
        send: (frame: Buffer, ifindex: number) => {
          calls.reply(frame, ifindex);
          return true;
        },
        close: () => {},
      },
    },
  };
}

/** As the kernel encodes it, for 192.0.2.<n> or 2001:db8::<n>: address families alternate. */
export function missMessage(n: number): Buffer {
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
export function answerTo(question: AgentFrame): string | undefined {
  if (question.type !== "resolve") return undefined;
  const { id, questions } = question;
  const asOf = parseRevision(1);
  const binding = { host: "far", vtep: parseVtep("198.51.100.1"), vtepPort: 4789 };
  const records = questions.map(({ asker: _, ...key }, n) =>
    recordText({ key, revision: asOf, binding: { ...binding, mac: macOf(2 + n) } }),
  );
  return `{"type":"answers","id":${id},"asOf":${asOf},"records":[${records.join(",")}]}`;
}

function macOf(n: number): MacAddress {
  return parseMac(`02:00:00:00:00:${n.toString(16).padStart(2, "0")}`);
}
