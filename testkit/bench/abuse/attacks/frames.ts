// Frames of a rogue host, ready for the wire, and a pump that sends them as fast as the connection takes them.
import type { Socket } from "node:net";
import { type AgentFrame, findingKinds, parseIp, parseVni, protocolVersions } from "../../../../schema/index.ts";
import type { Count } from "./attack.ts";

const keysPerFrame = 900;

/** RFC 6455 §5.2: text, final, masked with zeros, which leaves the payload as it is. */
export function textFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  const isShort = payload.length < 126;
  const head = Buffer.alloc(isShort ? 6 : 8);
  head.writeUInt8(0x81, 0);
  head.writeUInt8(0x80 | (isShort ? payload.length : 126), 1);
  if (!isShort) head.writeUInt16BE(payload.length, 2);
  return Buffer.concat([head, payload]);
}

function agentFrame(frame: AgentFrame): Buffer {
  return textFrame(JSON.stringify(frame));
}

export function helloFrame(host: string): Buffer {
  return agentFrame({ type: "hello", protocol: protocolVersions, version: "bench", host, vtepPort: 4789 });
}

/** Addresses of the shared network: those of its VMs first, then unregistered ones. */
function keyOf(vni: number, number: number) {
  const bytes = [10, 64 + (number >> 16), (number >> 8) & 255, number & 255];
  return { kind: "ip", vni: parseVni(vni), ip: parseIp(bytes.join(".")) } as const;
}

/** A whole declaration of so many keys; of none too. */
export function interestFrames(vni: number, count: number): Buffer[] {
  const frames = Math.max(1, Math.ceil(count / keysPerFrame));
  return Array.from({ length: frames }, (_, frame) => {
    const first = frame * keysPerFrame;
    const size = Math.min(keysPerFrame, count - first);
    const keys = Array.from({ length: size }, (_, i) => keyOf(vni, first + i));
    return agentFrame({ type: "interest", keys, end: frame === frames - 1 });
  });
}

/** @param among addresses that are asked for, each frame's a random run of them */
export function questionFrames(vni: number, questions: number, among: number, frames: number): Buffer[] {
  return Array.from({ length: frames }, (_, id) => {
    const first = Math.floor(Math.random() * among);
    const some = Array.from({ length: questions }, (_, i) => keyOf(vni, (first + i) % among));
    return agentFrame({ type: "resolve", id, questions: some });
  });
}

/** Each frame as full as it may be, no two reports of the same subject. */
export function reportFrames(vni: number, frames: number): Buffer[] {
  return Array.from({ length: frames }, (_, frame) =>
    agentFrame({
      type: "report",
      reports: Array.from({ length: 32 }, (_, i) => ({
        kind: findingKinds[(frame + i) % findingKinds.length] ?? "scan",
        vni: parseVni(vni),
        subject: `subject ${frame}-${i}`,
        detail: "x".repeat(512),
        count: 1,
        firstAgoMs: 1,
        lastAgoMs: 0,
      })),
    }),
  );
}

/** Sends the frames again and again, waiting only for the connection. @param onRound all were sent once; false: no more */
export function pump(socket: Socket, frames: readonly Buffer[], count: Count, onRound = (): boolean => true): void {
  let next = 0;
  const send = (): void => {
    while (!socket.destroyed) {
      const frame = frames[next];
      if (!frame) return;
      next = (next + 1) % frames.length;
      count("frames");
      const goesOn = socket.write(frame);
      if (next === 0 && !onRound()) return;
      if (goesOn) continue;
      socket.once("drain", send);
      return;
    }
  };
  send();
}
