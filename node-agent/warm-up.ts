// Runs misses with made-up data through a core of its own before the first real one: code takes milliseconds when V8 runs it for
// the first time, and microseconds later. Misses are rare, so any may be the first. (docs/adr/0173)
import { setImmediate as nextTurn } from "node:timers/promises";
import { type AgentFrame, parseControllerFrame, protocolVersions } from "../schema/agent/index.ts";
import { decodeMiss, decodeNeighbourMessage } from "./kernel/codec/neighbour-codec.ts";
import { encodeMessage, splitMessages } from "./kernel/codec/netlink-codec.ts";
import { decodeHeard } from "./kernel/codec/packet-codec.ts";
import type { Request } from "./kernel/sockets/request-socket.ts";
import { answerTo, MadeUpCore, madeUpHost, missMessage } from "./made-up-core.ts";

/** Enough for V8's baseline code; more costs start-up time and gains little. */
const rounds = 10;

/** Of the newest version. */
const reader = { protocol: protocolVersions.max, host: madeUpHost };

/** The kernel's and the controller's parts in memory. */
const inMemory = {
  request: async (requests: readonly Request[]) => {
    Buffer.concat(requests.map(({ type, flags, payload }, seq) => encodeMessage(type, flags, seq, payload)));
  },
  hear: () => {},
  locate: async () => {},
  reply: (frame: Buffer) => void decodeHeard(frame),
};

export async function warmUp(): Promise<void> {
  const send = (frame: AgentFrame): boolean => {
    const answer = answerTo(JSON.parse(JSON.stringify(frame)) as AgentFrame);
    const answers = answer === undefined ? undefined : parseControllerFrame(answer, reader);
    if (answers?.type === "answers") core.session.onAnswers(answers);
    return true;
  };
  const core: MadeUpCore = new MadeUpCore(inMemory, { isLive: true, send });
  for (let round = 0; round < rounds; round++) {
    for (const message of splitMessages(missMessage(round + 2))) {
      const neighbour = decodeNeighbourMessage(message);
      const miss = neighbour && decodeMiss(neighbour, core.vniOf);
      if (miss) core.onMiss(miss);
    }
    await nextTurn();
  }
  await core.close();
}
