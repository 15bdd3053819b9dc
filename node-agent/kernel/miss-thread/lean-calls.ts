// System calls on memory of a fixed place: addresses are plain numbers, so that a call allocates nothing. For the thread that answers misses.
import koffi from "koffi";

/** File descriptors, addresses and lengths; below 0: an error. */
export interface LeanCalls {
  recv(fd: number, at: number, length: number, flags: number): number;
  send(fd: number, at: number, length: number, flags: number): number;
  sendto(fd: number, at: number, length: number, flags: number, to: number, toLength: number): number;
  setsockopt(fd: number, level: number, name: number, at: number, length: number): number;
  poll(at: number, count: number, timeoutMs: number): number;
  write(fd: number, at: number, length: number): number;
}

export function openLeanCalls(): LeanCalls {
  const libc = koffi.load("libc.so.6");
  return {
    recv: libc.func("long recv(int fd, long at, size_t length, int flags)"),
    send: libc.func("long send(int fd, long at, size_t length, int flags)"),
    sendto: libc.func("long sendto(int fd, long at, size_t length, int flags, long to, uint32_t to_length)"),
    setsockopt: libc.func("int setsockopt(int fd, int level, int name, long at, uint32_t length)"),
    poll: libc.func("int poll(long at, unsigned long count, int timeout)"),
    write: libc.func("long write(int fd, long at, size_t length)"),
  };
}

/** Where the buffer is; it must stay referenced. */
export function addressOf(buffer: ArrayBuffer): number {
  return Number(koffi.address(new Uint8Array(buffer)));
}
