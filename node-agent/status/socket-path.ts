// The path of an agent's local socket. It contains the name of its host: agents in network namespaces of one machine share /run.
import { readdirSync } from "node:fs";
import { join } from "node:path";

export const socketDirectory = "/run/nearmiss";
const suffix = ".sock";
/** sockaddr_un has room for 108 bytes, the last of them zero (unix(7)). */
const maxPathBytes = 107;

export function defaultSocket(host: string): string {
  return join(socketDirectory, `${host}${suffix}`);
}

/** Sockets of agents in the default place, running or left by dead ones. */
export function defaultSockets(directory = socketDirectory): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => name.endsWith(suffix))
      .sort()
      .map((name) => join(directory, name));
  } catch {
    return []; // no agent has run here
  }
}

/** @returns the problem with a path for a socket, if any */
export function whyNoSocketPath(path: string): string | undefined {
  const bytes = Buffer.byteLength(path);
  if (bytes === 0) return "A path is needed.";
  return bytes > maxPathBytes ? `A socket's path has at most ${maxPathBytes} bytes, this one has ${bytes}.` : undefined;
}
