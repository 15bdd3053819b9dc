// The clients of `lookup`, a process of their own: each keeps one connection and asks again as soon as it is answered.
//   node client.js <options as JSON>   see client-process.ts; reports a `ClientReport`
import { connect, type Socket } from "node:net";
import { agentPath, protocolVersions } from "../../../schema/agent/index.ts";
import { distribution } from "../../statistics.ts";
import { serveClients } from "../client-process.ts";
import { hostName } from "../made-up-fleet.ts";
import { type AnswerReader, clientFrame, EchoReader, FrameReader, HttpReader } from "./frames.ts";
import { anyVisible, askingHost, askingHosts, questionOf } from "./inventory.ts";
import type { ClientOptions, ClientReport } from "./side.ts";

/** Different ones of each connection. */
const maxRequests = 4_096;
const questionsPerConnection = 8_192;

interface Connection {
  readonly socket: Socket;
  readonly reader: AnswerReader;
  readonly requests: readonly Buffer[];
}

await serveClients<ClientOptions, ClientReport>(async (options) => {
  // First: a server waits some seconds for the first frame of a connection.
  const requests = Array.from({ length: askingHosts }, (_, n) => requestsOf(options, n));
  const connections = await Promise.all(requests.map((each, n) => open(options, n, each)));
  return () => ask(connections, options.ms);
});

async function ask(connections: readonly Connection[], ms: number): Promise<ClientReport> {
  const times: number[] = [];
  let isAsking = true;
  // The clients never sleep: to wake a process that waits costs the server more than many an answer, and would count only against
  // servers that are slower than their clients.
  const spin = () => {
    if (isAsking) setImmediate(spin);
  };
  spin();
  const beginMs = performance.now();
  const endMs = beginMs + ms;
  await Promise.all(
    connections.map(({ socket, reader, requests }) => {
      return new Promise<void>((resolve, reject) => {
        let next = 0;
        let startMs = 0;
        const send = () => {
          startMs = performance.now();
          socket.write(requests[next++ % requests.length] as Buffer);
        };
        socket.on("data", (chunk: Buffer) => {
          if (reader.take(chunk) === 0) return;
          const nowMs = performance.now();
          times.push(nowMs - startMs);
          if (nowMs < endMs) send();
          else resolve();
        });
        socket.once("close", () => reject(new Error("the server has closed a connection")));
        send();
      });
    }),
  );
  isAsking = false;
  return { seconds: (performance.now() - beginMs) / 1_000, answers: times.length, times: distribution(times) };
}

async function open(options: ClientOptions, n: number, requests: readonly Buffer[]): Promise<Connection> {
  const { port, kind } = options;
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  switch (kind) {
    case "agent":
      return { socket, reader: await introduce(socket, options, n), requests };
    case "ws":
      await upgrade(socket);
      return { socket, reader: new FrameReader(""), requests };
    case "bytes":
      return { socket, reader: new EchoReader(requests[0]?.length ?? 0), requests };
    case "http":
      return { socket, reader: new HttpReader(), requests };
  }
}

function requestsOf({ kind, port, vms, perFrame }: ClientOptions, n: number): Buffer[] {
  const host = askingHost(n, vms);
  const random = Math.random;
  const anyQuestion = () => questionOf(anyVisible(host, vms, random), random);
  const many = Array.from({ length: Math.min(maxRequests, questionsPerConnection / perFrame) });
  if (kind === "http") {
    return many.map(() => {
      const { vni, ip } = anyQuestion();
      return Buffer.from(`GET /v1/resolve?vni=${vni}&ip=${ip} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
    });
  }
  const frame = (id: number) => {
    const questions = Array.from({ length: perFrame }, anyQuestion);
    return clientFrame(JSON.stringify({ type: "resolve", id, questions }));
  };
  // Of an echo of bytes only the length is known.
  const one = kind === "bytes" ? frame(1) : undefined;
  return many.map((_, i) => one ?? frame(i + 1));
}

/** The handshake of RFC 6455 §4.1. What follows the server's part is left in the socket. */
function upgrade(socket: Socket): Promise<void> {
  const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
  socket.write(
    `GET ${agentPath} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${key}\r\n`,
  );
  return new Promise((resolve, reject) => {
    socket.once("data", (chunk: Buffer) => {
      const text = chunk.toString("latin1");
      if (text.startsWith("HTTP/1.1 101") && text.endsWith("\r\n\r\n")) resolve();
      else reject(new Error(`no WebSocket: ${text}`));
    });
  });
}

/** As an agent without cached answers. The first answer comes after the whole snapshot. */
async function introduce(socket: Socket, { vms }: ClientOptions, n: number): Promise<AnswerReader> {
  await upgrade(socket);
  const host = hostName(askingHost(n, vms));
  const reader = new FrameReader('{"type":"answers"');
  const answered = new Promise<void>((resolve, reject) => {
    const look = (chunk: Buffer) => {
      if (reader.take(chunk) === 0) return;
      socket.off("data", look);
      resolve();
    };
    socket.on("data", look).once("close", () => reject(new Error(`the controller has ended the session of ${host}`)));
  });
  const first = questionOf(anyVisible(askingHost(n, vms), vms, Math.random), Math.random);
  for (const frame of [
    { type: "hello", protocol: protocolVersions, version: "bench", host, vtepPort: 4789 },
    { type: "interest", keys: [], end: true },
    { type: "resolve", id: 0, questions: [first] },
  ]) {
    socket.write(clientFrame(JSON.stringify(frame)));
  }
  await answered;
  return reader;
}
