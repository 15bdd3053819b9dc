// The libc calls that Node lacks, through koffi: socket options, packet sockets, namespaces. No decisions.
import koffi from "koffi";

const libc = koffi.load("libc.so.6");

const sockFprog = koffi.struct("sock_fprog", { len: "uint16_t", filter: "const void *" });

const native = {
  attachFilter: libc.func("setsockopt", "int", ["int", "int", "int", koffi.pointer(sockFprog), "uint32_t"]),
  setsockopt: libc.func("int setsockopt(int fd, int level, int name, const void *value, uint32_t length)"),
  getsockopt: libc.func("int getsockopt(int fd, int level, int name, _Out_ void *value, _Inout_ uint32_t *length)"),
  socket: libc.func("int socket(int domain, int type, int protocol)"),
  bind: libc.func("int bind(int fd, const void *address, uint32_t length)"),
  // The real return type is ssize_t, which koffi does not know; on every supported ABI it is a long.
  sendto: libc.func("long sendto(int fd, const void *data, size_t length, int flags, const void *to, uint32_t tolen)"),
  recvfrom: libc.func(
    "long recvfrom(int fd, _Out_ void *data, size_t length, int flags, _Out_ void *from, _Inout_ uint32_t *fromlen)",
  ),
  recv: libc.func("long recv(int fd, _Out_ void *data, size_t length, int flags)"),
  close: libc.func("int close(int fd)"),
  malloc_trim: libc.func("int malloc_trim(size_t pad)"),
  connect: libc.func("int connect(int fd, const void *address, uint32_t length)"),
  pipe2: libc.func("int pipe2(_Out_ int *fds, int flags)"),
  setns: libc.func("int setns(int fd, int type)"),
  syscall: libc.func("long syscall(long number, int command, _Inout_ void *attributes, uint32_t length)"),
};

export const AF_NETLINK = 16;
export const AF_PACKET = 17;
export const SOCK_RAW = 3;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
export const SOL_NETLINK = 270;
const EINTR = 4;
const EAGAIN = 11;
const ENOSYS = 38;

/** A libc call that failed, with its errno. */
export class SystemCallError extends Error {
  override readonly name = "SystemCallError";
  constructor(
    readonly call: string,
    readonly errno: number,
  ) {
    super(`${call} failed: errno ${errno}`);
  }
}

function check(call: string, result: number): number {
  if (result < 0) throw new SystemCallError(call, koffi.errno());
  return result;
}

/** @param value a number becomes a C int */
export function setsockopt(fd: number, level: number, name: number, value: number | Buffer): void {
  const bytes = typeof value === "number" ? Buffer.from(Int32Array.of(value).buffer) : value;
  check("setsockopt", native.setsockopt(fd, level, name, bytes, bytes.length));
}

const SO_MEMINFO = 55;
/** SK_MEMINFO_VARS and SK_MEMINFO_DROPS of linux/sock_diag.h. */
const memoryFigures = 9;
const dropsFigure = 8;
const figures = Buffer.alloc(4 * memoryFigures);

/** Messages that the kernel dropped because the socket's buffer was full, modulo 2^32. */
export function droppedBy(fd: number): number {
  const length = [figures.length];
  check("getsockopt", native.getsockopt(fd, SOL_SOCKET, SO_MEMINFO, figures, length));
  if ((length[0] ?? 0) <= 4 * dropsFigure) throw new Error("the kernel does not count the drops of a socket");
  return figures.readUInt32LE(4 * dropsFigure);
}

/** SO_ATTACH_FILTER: classic BPF as in linux/filter.h, one struct sock_filter per instruction. */
export function attachFilter(
  fd: number,
  program: readonly { readonly code: number; readonly jt: number; readonly jf: number; readonly k: number }[],
): void {
  const SO_ATTACH_FILTER = 26;
  const filter = Buffer.concat(
    program.map(({ code, jt, jf, k }) => {
      const instruction = Buffer.alloc(8);
      instruction.writeUInt16LE(code, 0);
      instruction.writeUInt8(jt, 2);
      instruction.writeUInt8(jf, 3);
      instruction.writeUInt32LE(k, 4);
      return instruction;
    }),
  );
  const fprog = { len: program.length, filter };
  check("setsockopt", native.attachFilter(fd, SOL_SOCKET, SO_ATTACH_FILTER, fprog, koffi.sizeof(sockFprog)));
}

export function openSocket(domain: number, type: number, protocol: number): number {
  return check("socket", native.socket(domain, type, protocol));
}

export function bindSocket(fd: number, address: Buffer): void {
  check("bind", native.bind(fd, address, address.length));
}

export function connectSocket(fd: number, address: Buffer): void {
  check("connect", native.connect(fd, address, address.length));
}

/** Neither end blocks. */
export function openPipe(): { readonly read: number; readonly write: number } {
  const ends = [0, 0];
  check("pipe2", native.pipe2(ends, SOCK_NONBLOCK | SOCK_CLOEXEC));
  const [read = -1, write = -1] = ends;
  return { read, write };
}

/** @returns bytes sent; the socket's own error otherwise, as SystemCallError */
export function sendTo(fd: number, data: Buffer, address: Buffer): number {
  return check("sendto", native.sendto(fd, data, data.length, 0, address, address.length));
}

const MSG_DONTWAIT = 0x40;

/** The next datagram without waiting, or undefined where none is queued. `from` is filled with the sender. */
export function receiveFrom(fd: number, into: Buffer, from: Buffer): Buffer | undefined {
  return received(into, () => native.recvfrom(fd, into, into.length, MSG_DONTWAIT, from, [from.length]));
}

/** The next datagram without waiting, or undefined where none is queued. */
export function receive(fd: number, into: Buffer): Buffer | undefined {
  return received(into, () => native.recv(fd, into, into.length, MSG_DONTWAIT));
}

function received(into: Buffer, call: () => number): Buffer | undefined {
  for (;;) {
    const size = call();
    if (size >= 0) return into.subarray(0, size);
    const errno = koffi.errno();
    if (errno === EAGAIN) return undefined;
    if (errno !== EINTR) throw new SystemCallError("recv", errno);
  }
}

/** Gives free memory of the C allocator back to the kernel. */
export function trimAllocator(): void {
  native.malloc_trim(0);
}

export function closeSocket(fd: number): void {
  check("close", native.close(fd));
}

/** Moves the calling thread into the network namespace behind the open file `fd`. */
export function enterNetworkNamespace(fd: number): void {
  const CLONE_NEWNET = 0x40000000;
  check("setns", native.setns(fd, CLONE_NEWNET));
}

/** Of bpf(2), for which libc has no function (the kernel's syscall tables). */
const bpfNumbers: Readonly<Partial<Record<NodeJS.Architecture, number>>> = {
  x64: 321,
  arm64: 280,
  arm: 386,
  ia32: 357,
};

/** @param attributes of union bpf_attr; the kernel writes its answer there. @returns as bpf(2) @throws SystemCallError */
export function bpf(command: number, attributes: Buffer): number {
  const number = bpfNumbers[process.arch];
  if (number === undefined) throw new SystemCallError("bpf", ENOSYS);
  return check("bpf", native.syscall(number, command, attributes, attributes.length));
}
