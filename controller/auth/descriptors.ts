// How many connections the process may have: out of the file descriptors that the kernel lets it open (RLIMIT_NOFILE), with
// some kept back, so that accept(2) never fails with EMFILE and the database can always open its files.
import { readFileSync } from "node:fs";

/** Database, its WAL and those of a backup, logs, the commit thread, epoll, certificates being read: some 30, and room. */
const reservedForFiles = 128;
/** Where the kernel says "unlimited": 250,000 connections would need more memory than a controller has. */
const maxConnections = 250_000;
/** With fewer a controller cannot do its work; the process then runs into EMFILE, which libuv answers by closing. */
const minConnections = 32;

/** Node raises the soft limit to the hard one as it starts. @param limits of the process; default: `/proc/self/limits` */
export function connectionsFor(limits = readLimits()): number {
  const [, soft] = /^Max open files\s+(\d+|unlimited)/m.exec(limits) ?? [];
  const descriptors = soft === undefined || soft === "unlimited" ? Number.POSITIVE_INFINITY : Number(soft);
  return Math.max(minConnections, Math.min(maxConnections, descriptors - reservedForFiles));
}

function readLimits(): string {
  try {
    return readFileSync("/proc/self/limits", "utf8");
  } catch {
    return "";
  }
}
