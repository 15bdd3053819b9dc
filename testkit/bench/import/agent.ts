// An agent as seen by the controller: it declares nothing, accepts every push, acknowledges it, and can ask.
import { WebSocket } from "ws";
import { parseRevision } from "../../../schema/address/index.ts";
import { type AgentFrame, agentPath, parseControllerFrame, protocolVersions } from "../../../schema/agent/index.ts";

export class BenchAgent {
  /** Bindings that were pushed. */
  pushed = 0;
  private readonly waiting = new Map<number, () => void>();
  private nextId = 1;

  private constructor(private readonly socket: WebSocket) {}

  static async connect(base: string, host: string): Promise<BenchAgent> {
    const socket = new WebSocket(`ws://${base}${agentPath}`, { perMessageDeflate: false });
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    const agent = new BenchAgent(socket);
    const synced = new Promise<void>((resolve) => {
      socket.on("message", (data) => agent.receive(data.toString(), resolve));
    });
    agent.send({ type: "hello", protocol: protocolVersions, version: "bench", host, vtepPort: 4789 });
    agent.send({ type: "interest", keys: [], end: true });
    await synced;
    return agent;
  }

  /** One question, answered. */
  resolve(question: Extract<AgentFrame, { type: "resolve" }>["questions"][number]): Promise<void> {
    const id = this.nextId++;
    return new Promise((resolve) => {
      this.waiting.set(id, resolve);
      this.send({ type: "resolve", id, questions: [question] });
    });
  }

  close(): void {
    this.socket.terminate();
  }

  private receive(text: string, synced: () => void): void {
    // Parsing every push would make this process the bottleneck; its first characters say enough.
    if (text.startsWith('{"type":"changes"')) {
      this.pushed += text.split('"rev":').length - 1;
      const revision = parseRevision(Number(/"asOf":(\d+)/.exec(text)?.[1]));
      if (text.endsWith('"end":true}')) this.send({ type: "applied", revision, problems: [] });
      return;
    }
    const frame = parseControllerFrame(text, { protocol: protocolVersions.max, host: "" });
    if (frame?.type === "snapshot" && frame.end) synced();
    if (frame?.type === "heartbeat") this.send({ type: "applied", revision: frame.asOf, problems: [] });
    if (frame?.type === "answers") {
      this.waiting.get(frame.id)?.();
      this.waiting.delete(frame.id);
    }
  }

  private send(frame: AgentFrame): void {
    this.socket.send(JSON.stringify(frame));
  }
}
