// The kernel's own time stamps on packets, in the clock that `ping` uses too: two libc calls that Node lacks.
import koffi from "koffi";
import { SystemCallError } from "../../node-agent/kernel/sockets/libc.ts";

const libc = koffi.load("libc.so.6");
const native = {
  clockGettime: libc.func("int clock_gettime(int clock, _Out_ void *time)"),
  ioctl: libc.func("int ioctl(int fd, unsigned long request, _Out_ void *value)"),
};

const CLOCK_REALTIME = 0;
const SIOCGSTAMPNS = 0x8907;
const ENOENT = 2;

/** struct timespec of 64-bit Linux, in ms. Differences are good to a microsecond, which is all a double keeps here. */
function readMs(timespec: Buffer): number {
  return Number(timespec.readBigInt64LE(0)) * 1_000 + Number(timespec.readBigInt64LE(8)) / 1_000_000;
}

const timespec = Buffer.alloc(16);

export function realtimeMs(): number {
  native.clockGettime(CLOCK_REALTIME, timespec);
  return readMs(timespec);
}

/** Packets that arrive from now on bear the time at which the kernel had them. */
export function enableTimestamps(fd: number): void {
  // The first question turns it on, and finds no packet yet.
  if (native.ioctl(fd, SIOCGSTAMPNS, timespec) < 0 && koffi.errno() !== ENOENT) {
    throw new SystemCallError("ioctl SIOCGSTAMPNS", koffi.errno());
  }
}

/** The arrival time of the packet that was last read from the socket. */
export function lastPacketMs(fd: number): number {
  if (native.ioctl(fd, SIOCGSTAMPNS, timespec) < 0) throw new SystemCallError("ioctl SIOCGSTAMPNS", koffi.errno());
  return readMs(timespec);
}
