// An agent as the controller sees it during changes: it may have a network in memory or some of its addresses, confirms what it is sent, and
// counts the bytes of it. Nothing is parsed that its first characters do not say.
import { WebSocket } from "ws";
import { type BindingKey, parseVni } from "../../../schema/address/index.ts";
import { type AgentFrame, agentPath, protocolVersions } from "../../../schema/agent/index.ts";
import { loopbackOf } from "../fleet/identities.ts";
import { hostName } from "../made-up-fleet.ts";

/** What an agent knows of the network at the start. */
export interface Knows {
  /** All of it, in memory. */
  readonly vni?: number;
  readonly keys: readonly BindingKey[];
}

/** Head of a WebSocket frame with a payload of 126 to 65,535 bytes, as all of these are. */
const headBytes = 4;

export class ChangeAgent {
  /** Of frames with changes. */
  bytes = 0;
  frames = 0;
  /** Position of the last of them. */
  asOf = 0;

  private constructor(private readonly socket: WebSocket) {}

  /** In sync, and with the whole network where it is to have that. */
  static async connect(base: string, host: number, knows: Knows): Promise<ChangeAgent> {
    // Limits are by address, and hosts have one each.
    const localAddress = loopbackOf(host);
    const socket = new WebSocket(`ws://${base}${agentPath}`, { perMessageDeflate: false, localAddress });
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    const agent = new ChangeAgent(socket);
    const ready = agent.ready(knows);
    agent.send({ type: "hello", protocol: protocolVersions, version: "bench", host: hostName(host), vtepPort: 4789 });
    agent.send({ type: "interest", keys: knows.keys, end: true });
    await ready;
    return agent;
  }

  close(): void {
    this.socket.terminate();
  }

  private ready({ vni }: Knows): Promise<void> {
    return new Promise((resolve, reject) => {
      this.socket.once("close", (code, why) => reject(new Error(`the controller ended the session: ${why} (${code})`)));
      this.socket.on("message", (data) => {
        const text = String(data);
        const type = /^\{"type":"(\w+)"/.exec(text)?.[1];
        if (type === "changes" || type === "delta") this.take(text, type);
        else if (type === "heartbeat") this.confirm(positionIn(text));
        const isWhole = text.endsWith('"end":true}');
        if (type === "snapshot" && isWhole) {
          if (vni === undefined) resolve();
          else this.send({ type: "subscribe", id: 1, vni: parseVni(vni) });
        } else if (type === "base" && isWhole) resolve();
      });
    });
  }

  private take(text: string, type: "changes" | "delta"): void {
    this.frames += 1;
    this.bytes += Buffer.byteLength(text) + headBytes;
    this.asOf = positionIn(text);
    // A delta is confirmed with the next heartbeat.
    if (type === "changes" && text.endsWith('"end":true}')) this.confirm(this.asOf);
  }

  private confirm(revision: number): void {
    this.socket.send(JSON.stringify({ type: "applied", revision, problems: [] }));
  }

  private send(frame: AgentFrame): void {
    this.socket.send(JSON.stringify(frame));
  }
}

function positionIn(text: string): number {
  return Number(/"asOf":(\d+)/.exec(text)?.[1]);
}
