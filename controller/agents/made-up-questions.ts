// The session of a made-up agent, for Heat, with an inventory, interest, allowances and turns of its own. The code that answers real agents
// answers it; nothing is counted or recorded, and no real agent is sent anything.
import type { RawData } from "ws";
import { FairTurns } from "../../common/cooperative.ts";
import type { MadeUpWork } from "../../common/heat.ts";
import { openLoopbackWebSocket } from "../../common/loopback-websocket.ts";
import { type AgentFrame, maxFrameBytes, protocolVersions } from "../../schema/agent/index.ts";
import { Rates } from "../observe/rates.ts";
import { Answering } from "./answering.ts";
import { Declaration } from "./declaration.ts";
import { HostAllowances } from "./host-allowance.ts";
import { InterestIndex } from "./interest.ts";
import { madeUpHosts, madeUpInventory, madeUpQuestions, madeUpRevision } from "./made-up-inventory.ts";
import { AgentSession } from "./session.ts";
import type { SessionHandler, SessionLimits } from "./session-handler.ts";
import { textWriter } from "./text-writer.ts";

const noMetrics = { resolved: () => {}, released: () => {}, seeded: () => {} };
const epoch = "made-up";

/** @throws Error where the kernel refuses the socket */
export async function openMadeUpQuestions(limits: SessionLimits, nowMs: () => number): Promise<MadeUpWork> {
  const socket = await openLoopbackWebSocket(maxFrameBytes);
  const committer = { current: madeUpInventory(), revision: madeUpRevision };
  const interests = new InterestIndex();
  const sessions = new Map<string, AgentSession>();
  const rates = new Rates(nowMs);
  const answering = new Answering({ committer, epoch, interests, sessions, metrics: noMetrics, rates, nowMs });
  const handler: SessionHandler<AgentSession> = {
    hello: async (session, hello) => session.accept(hello, protocolVersions.max),
    declared: (_, declaration = new Declaration()) => declaration,
    interest: (session, declaration) => answering.declare(session, declaration),
    resolve: (session, frame) => answering.resolve(session, frame),
    subscribe: () => 0,
    release: () => {},
    unsubscribe: () => {},
    used: () => {},
    applied: () => {},
    reported: () => {},
    joined: () => {},
    conditionsReported: () => {},
    claimed: () => {},
    probed: () => {},
    heard: () => {},
    paused: () => {},
    beat: () => {},
    closed: () => {},
    failed: () => {},
  };
  const deps = { handler, limits, allowances: new HostAllowances(), turns: new FairTurns(), nowMs };
  const session = new AgentSession(socket.server, textWriter(socket.server, socket.below), { kind: "anyone" }, deps);
  // It also has the host of the VM that is asked for, so that a seed precedes each answer.
  for (const host of madeUpHosts) sessions.set(host, session);
  const { client } = socket;
  let done = (): void => {};
  let id = 0;
  // The seed goes first.
  client.on("message", (data: RawData) => data.toString().startsWith('{"type":"answers"') && done());
  const send = (frame: AgentFrame): void => client.send(JSON.stringify(frame));
  const [host] = madeUpHosts;
  send({ type: "hello", protocol: protocolVersions, host, vtepPort: 4789, version: "made-up", seeding: true });
  send({ type: "interest", keys: [], end: true });
  return {
    run: (whenDone) => {
      done = whenDone;
      id += 1;
      // A question for what no host has asked for.
      for (const each of madeUpHosts) interests.forget(each);
      send({ type: "resolve", id, questions: madeUpQuestions.slice(id % 2).slice(0, 1) });
    },
    close: socket.close,
  };
}
