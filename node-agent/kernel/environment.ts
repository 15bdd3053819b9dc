// This process's environment as the kernel shows it. Deleting a variable from `process.env` hides it from this process and its
// children; /proc/PID/environ goes on showing the block that execve() made (proc(5)), until its bytes are overwritten.
import koffi from "koffi";

const libc = koffi.load("libc.so.6");
const getenv = libc.func("void *getenv(const char *name)");
const strlen = libc.func("size_t strlen(const void *text)");
const memset = libc.func("void *memset(void *where, int byte, size_t length)");

/**
 * Reads a variable and erases it: from `process.env`, from what children inherit, and from /proc/PID/environ, where the name stays
 * with bytes of 0.
 * @returns undefined where it is not set
 */
export function takeVariable(name: string): string | undefined {
  const value = process.env[name];
  if (value === undefined) return undefined;
  const block: unknown = getenv(name);
  // Its length in C: it differs in JavaScript if the value is not valid UTF-8.
  if (block) memset(block, 0, Number(strlen(block)));
  delete process.env[name];
  return value;
}
