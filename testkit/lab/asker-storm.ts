// A guest that asks as many: each question comes from another sender, for another address, as fast as a packet socket takes them. A
// process of its own, as `scanner.ts`: SIGUSR2 begins, SIGUSR1 ends and prints questions and ms.
//   node asker-storm.js <ifindex> <arp|ns|unicast: data to unknown MACs> <Ethernet source, or "random" for another each time>
import { randomBytes } from "node:crypto";
import { AF_PACKET, openSocket, SOCK_CLOEXEC, SOCK_RAW, sendTo } from "../../node-agent/kernel/sockets/libc.ts";
import { arp, ethernet, macBytes, neighbourSolicitation } from "./frames.ts";

const [ifindex = "", kind = "", source = ""] = process.argv.slice(2);
/** Between two checks for signals. */
const batch = 64;
const anyMac = "52:54:00:00:00:00";

const fd = openSocket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
const address = Buffer.alloc(20);
address.writeUInt16LE(AF_PACKET, 0);
address.writeInt32LE(Number(ifindex), 4);

interface Storm {
  readonly frame: Buffer;
  /** The places whose last bytes differ each time: of the sender's MAC, its IP, and the target. */
  readonly mac: number;
  readonly sender: number;
  readonly target: number;
  readonly bytes: number;
}

const storms: Readonly<Record<string, () => Storm>> = {
  arp: () => ({
    frame: arp({ operation: "request", senderMac: anyMac, senderIp: "10.20.0.0", targetIp: "10.20.0.0" }),
    mac: 14 + 8,
    sender: 14 + 14 + 2,
    target: 14 + 24 + 2,
    bytes: 2,
  }),
  ns: () => ({
    frame: neighbourSolicitation({ mac: anyMac, from: "fd00:20::1", target: "fd00:20::2" }),
    mac: 14 + 40 + 26,
    sender: 14 + 8 + 12,
    target: 14 + 40 + 8 + 12,
    bytes: 4,
  }),
  unicast: () => ({
    frame: ethernet({ to: anyMac, from: anyMac, type: 0x88b5, payload: Buffer.alloc(46) }),
    mac: 14,
    sender: 20,
    target: 2,
    bytes: 4,
  }),
};

const make = storms[kind];
if (!make) throw new Error(`no storm "${kind}": ${Object.keys(storms).join(", ")}`);
const { frame, ...at } = make();

let running = false;
let sent = 0;
let startedMs = 0;

function ask(): void {
  const random = randomBytes(16);
  random.copy(frame, at.mac + 1, 0, 5);
  random.copy(frame, at.sender, 5, 5 + at.bytes);
  random.copy(frame, at.target, 9, 9 + at.bytes);
  if (source === "random") frame.copyWithin(6, at.mac, at.mac + 6);
  sendTo(fd, frame, address);
  sent++;
}

function storm(): void {
  if (!running) return;
  for (let i = 0; i < batch; i++) ask();
  setImmediate(storm);
}

if (source !== "random") macBytes(source).copy(frame, 6);
process.on("SIGUSR2", () => {
  if (running) return;
  running = true;
  sent = 0;
  startedMs = performance.now();
  storm();
});
process.on("SIGUSR1", () => {
  running = false;
  process.stdout.write(`${sent} ${performance.now() - startedMs}\n`);
});
process.stdin.on("end", () => process.exit()).resume();
process.stdout.write("ready\n");
