// Sends requests to the agent of this host over its local socket.
import { createConnection } from "node:net";
import { findStatusReply, maxReplyBytes, type WireStatusRequest } from "./protocol.ts";
import { defaultSocket, defaultSockets, socketDirectory } from "./socket-path.ts";

/** A busy agent answers late, a stopped one (SIGSTOP) never. */
const replyMs = 15_000;

/** No agent runs there. */
export class NoAgentError extends Error {
  override readonly name = "NoAgentError";
  constructor(readonly says: string) {
    super(`${says}. ${howToStart}`);
  }
}

export const howToStart =
  "Start it as it was before, as a service or by hand (nearmiss agent --controller URL --host NAME), or name the socket of a running agent with --socket PATH";

/** An agent may run there, but the request failed. */
export class AskError extends Error {
  override readonly name = "AskError";
}

export interface AgentReply {
  /** Of the running agent, which may be older than this command. */
  readonly version: string;
  readonly result: unknown;
}

/** @throws NoAgentError, AskError */
export function askAgent(path: string, request: WireStatusRequest, waitMs = replyMs): Promise<AgentReply> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    const parts: string[] = [];
    let length = 0;
    const fail = (error: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(() => {
      fail(new AskError(`the agent behind ${path} has not answered within ${waitMs / 1_000} s: it is stopped or busy`));
    }, waitMs);
    socket.setEncoding("utf8");
    socket.once("connect", () => socket.write(`${JSON.stringify(request)}\n`));
    socket.on("error", (error) => fail(describe(path, error)));
    socket.on("data", (text: string) => {
      parts.push(text);
      length += text.length;
      if (length > maxReplyBytes) fail(new AskError(`the process that listens on ${path} is not a nearmiss agent`));
      else if (text.includes("\n")) {
        clearTimeout(timer);
        socket.destroy();
        const reply = findStatusReply(parts.join("").split("\n", 1)[0] ?? "");
        if (!reply) reject(new AskError(`the process that listens on ${path} is not a nearmiss agent`));
        else if ("error" in reply) reject(new AskError(reply.error));
        else resolve(reply);
      }
    });
    socket.on("close", () =>
      fail(new AskError(`the agent behind ${path} closed the connection: it stopped, or it has too many requests`)),
    );
  });
}

function describe(path: string, error: Error): Error {
  const code = "code" in error ? error.code : undefined;
  if (code === "ENOENT") return new NoAgentError(`no agent runs here: there is no ${path}`);
  if (code === "ECONNREFUSED") {
    return new NoAgentError(`no agent runs here: no process listens on ${path}, which a dead agent has left`);
  }
  if (code === "EACCES")
    return new AskError(`${path} belongs to another user: run this as root, or as the agent's user`);
  return new AskError(`${path}: ${error.message}`);
}

/**
 * The socket to ask: the one that is named, that of the host that is named, or that of the only agent in the default place.
 * @throws NoAgentError, AskError where several run
 */
export async function findSocket(named: string | undefined, host: string | undefined): Promise<string> {
  if (named !== undefined) return named;
  if (host !== undefined) return defaultSocket(host);
  const sockets = defaultSockets();
  if (sockets.length === 0) {
    throw new NoAgentError(`no agent runs here: there is no socket in ${socketDirectory}`);
  }
  const [only] = sockets;
  if (sockets.length === 1 && only !== undefined) return only;
  const answering = await Promise.all(sockets.map(async (path) => ((await answers(path)) ? [path] : [])));
  const running = answering.flat();
  const [first] = running;
  if (running.length > 1) throw new AskError(`several agents run here: name one with --socket (${running.join(", ")})`);
  return first ?? only ?? socketDirectory;
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createConnection(path);
    const settle = (is: boolean): void => {
      probe.destroy();
      resolve(is);
    };
    probe.once("connect", () => settle(true));
    probe.once("error", () => settle(false));
  });
}
