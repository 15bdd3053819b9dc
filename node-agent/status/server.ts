// The agent's local socket: answers its owner and root. No client can make the agent wait, or use unbounded memory.
import { lstatSync, mkdirSync, unlinkSync } from "node:fs";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { version } from "../../schema/version.ts";
import { maxRequestBytes, parseStatusRequest, RequestError, type StatusReply, type StatusRequest } from "./protocol.ts";

/** Maximum of connections at a time; further ones are closed at once. */
const maxConnections = 8;
/** Timeout for clients that send no request, or do not read the reply. */
const idleMs = 10_000;
/** umask for the moment of binding: the socket is its owner's alone (0600) from its first moment. */
const ownerOnly = 0o177;

/** The reason why an agent cannot have its socket. */
export class SocketTakenError extends Error {
  override readonly name = "SocketTakenError";
}

export interface StatusServer {
  close(): void;
}

/**
 * Listens. A socket that a dead agent left is replaced.
 * @throws SocketTakenError where a running agent answers there, or something that is no socket is in the way
 */
export async function openStatusServer(
  path: string,
  answer: (request: StatusRequest) => Promise<unknown>,
): Promise<StatusServer> {
  mkdirSync(dirname(path), { recursive: true });
  const server = createServer((socket) => void serve(socket, answer));
  server.maxConnections = maxConnections;
  try {
    await listen(server, path);
  } catch (error) {
    if (!isAddressInUse(error)) throw error;
    await clear(path);
    await listen(server, path);
  }
  // The status of an agent never keeps it running.
  server.unref();
  return { close: () => server.close() };
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    const before = process.umask(ownerOnly);
    try {
      server.listen(path, () => {
        server.off("error", reject);
        // A connection that cannot be accepted affects only that client.
        server.on("error", () => {});
        resolve();
      });
    } finally {
      process.umask(before);
    }
  });
}

function isAddressInUse(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EADDRINUSE";
}

/** Removes a stale socket of a dead agent, on which no process listens. */
function clear(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === false) {
      reject(new SocketTakenError(`${path} is not a socket: move it away, or name another path with --socket`));
      return;
    }
    const probe = createConnection(path);
    probe.once("connect", () => {
      probe.destroy();
      reject(
        new SocketTakenError(
          `another agent is running and answers on ${path}: this host has its agent. If that one serves another ` +
            "network namespace, give this one a socket of its own with --socket",
        ),
      );
    });
    // In the same turn as the refusal, so that an agent that starts at the same time cannot lose its socket.
    probe.once("error", (error) => {
      try {
        if ("code" in error && error.code === "ECONNREFUSED") unlinkSync(path);
        resolve();
      } catch (failure) {
        reject(failure);
      }
    });
  });
}

/** One request after the other, each read after the previous reply was sent: nothing queues up. */
async function serve(socket: Socket, answer: (request: StatusRequest) => Promise<unknown>): Promise<void> {
  socket.on("error", () => {});
  socket.setTimeout(idleMs, () => socket.destroy());
  socket.setEncoding("utf8");
  let rest = "";
  try {
    for await (const text of socket as AsyncIterable<string>) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) await send(socket, await replyTo(line, answer));
      if (rest.length <= maxRequestBytes) continue;
      await send(socket, { version, error: `a request is one line of at most ${maxRequestBytes} bytes` });
      break;
    }
  } catch {
    // The other side went away.
  }
}

/** Resolves when it was sent, or cannot be sent any more. */
function send(socket: Socket, reply: StatusReply): Promise<void> {
  return new Promise((resolve) => {
    socket.write(`${JSON.stringify(reply)}\n`, () => resolve());
  });
}

async function replyTo(line: string, answer: (request: StatusRequest) => Promise<unknown>): Promise<StatusReply> {
  try {
    return { version, result: await answer(parseStatusRequest(line)) };
  } catch (error) {
    if (error instanceof RequestError) return { version, error: error.message };
    return { version, error: `the agent cannot answer: ${error instanceof Error ? error.message : String(error)}` };
  }
}
