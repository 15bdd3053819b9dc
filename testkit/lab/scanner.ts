// A guest that scans: asks for one address of a /16 after the other, as fast as a packet socket takes the questions. A
// process of its own, so that it competes with everything else as a guest does. Told by SIGUSR2 to go on, by SIGUSR1 to
// pause; on its output, one line per pause: questions sent, and within how many ms.
//   node scanner.js <ifindex> <mac> <own IPv4> <first IPv4> <how many> <questions a second, 0: all it can>
import { AF_PACKET, openSocket, SOCK_CLOEXEC, SOCK_RAW, sendTo } from "../../node-agent/kernel/sockets/libc.ts";
import { arp } from "./frames.ts";

const [ifindex = "", mac = "", senderIp = "", firstIp = "", count = "", rate = ""] = process.argv.slice(2);
/** Offset of the target address in an ARP request over Ethernet. */
const targetOffset = 14 + 24;
/** Questions between two checks of signals and clock. */
const batch = 64;

const fd = openSocket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
const address = Buffer.alloc(20);
address.writeUInt16LE(AF_PACKET, 0);
address.writeInt32LE(Number(ifindex), 4);
const frame = arp({ operation: "request", senderMac: mac, senderIp, targetIp: firstIp });
const first = frame.readUInt32BE(targetOffset);

let running = false;
let next = 0;
let sent = 0;
let startedMs = 0;

function scan(): void {
  if (!running) return;
  const allowed = Number(rate) === 0 ? batch : ((performance.now() - startedMs) / 1_000) * Number(rate) - sent;
  for (let i = 0; i < Math.min(batch, allowed); i++) {
    frame.writeUInt32BE(first + next, targetOffset);
    next = (next + 1) % Number(count);
    sendTo(fd, frame, address);
    sent++;
  }
  // Ahead of its rate it leaves the processor to others.
  if (allowed < batch) setTimeout(scan, 1);
  else setImmediate(scan);
}

process.on("SIGUSR2", () => {
  if (running) return;
  running = true;
  sent = 0;
  startedMs = performance.now();
  scan();
});
process.on("SIGUSR1", () => {
  if (!running) return;
  running = false;
  process.stdout.write(`${sent} ${performance.now() - startedMs}\n`);
});
process.stdin.on("end", () => process.exit()).resume();
process.stdout.write("ready\n");
