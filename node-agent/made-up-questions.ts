// Made-up misses that take the way of real ones through kernel and sockets, for Heat: a core, sockets and a controller's end of their own.
import type { RawData } from "ws";
import type { MadeUpWork } from "../common/heat.ts";
import { openLoopbackWebSocket } from "../common/loopback-websocket.ts";
import { type AgentFrame, maxFrameBytes, protocolVersions } from "../schema/agent/index.ts";
import { FrameAssembly } from "./controller-link/frame-assembly.ts";
import { MadeUpSockets } from "./kernel/sockets/made-up-sockets.ts";
import { answerTo, MadeUpCore, madeUpHost, missMessage } from "./made-up-core.ts";

/** Address families in turns. */
const misses = [missMessage(2), missMessage(3)] as const;

/** Opens sockets in the calling thread's network namespace. @throws Error where the kernel refuses */
export async function openMadeUpQuestions(): Promise<MadeUpWork> {
  const { client, server, close: closeSocket } = await openLoopbackWebSocket(maxFrameBytes);
  let done = (): void => {};
  let runs = 0;
  try {
    const sockets: MadeUpSockets = new MadeUpSockets(
      (ifindex) => core.vniOf(ifindex),
      (miss) => core.onMiss(miss),
    );
    const send = (frame: AgentFrame): boolean => {
      if (frame.type === "resolve") client.send(JSON.stringify(frame));
      return true;
    };
    const reply = (frame: Buffer, ifindex: number): void => {
      sockets.reply(frame, ifindex);
      done();
    };
    const { request, hear, locate } = sockets;
    const core: MadeUpCore = new MadeUpCore({ request, hear, locate, reply }, { isLive: true, send });
    server.on("message", (data: RawData) => {
      const answer = answerTo(JSON.parse(data.toString()) as AgentFrame);
      if (answer !== undefined) server.send(answer);
    });
    const frames = welcomed();
    client.on("message", (data: RawData) => {
      const frame = frames.add(data.toString());
      if (frame?.type === "answers") core.session.onAnswers(frame);
    });
    return {
      run: (whenDone) => {
        done = whenDone;
        core.forget();
        sockets.miss(misses[runs++ % 2] ?? misses[0]);
      },
      close: () => {
        closeSocket();
        sockets.close();
        void core.close();
      },
    };
  } catch (error) {
    closeSocket();
    throw error;
  }
}

function welcomed(): FrameAssembly {
  const frames = new FrameAssembly();
  const position = { protocol: protocolVersions.max, epoch: madeUpHost, asOf: 1 };
  frames.add(JSON.stringify({ type: "welcome", ...position, host: madeUpHost, vtep: "198.51.100.2", vtepPort: 4789 }));
  return frames;
}
