// Records the bytes that a controller sends to one agent that reconnects.
import { WebSocket } from "ws";
import type { Hello } from "../../../node-agent/controller-link/link.ts";
import type { BindingKey } from "../../../schema/address/index.ts";
import { agentPath, chunk } from "../../../schema/agent/index.ts";

/** @returns welcome and snapshot */
export async function recordFrames(base: string, hello: Hello, keys: readonly BindingKey[]): Promise<string[]> {
  const socket = new WebSocket(`ws://${base}${agentPath}`, { perMessageDeflate: false });
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  const frames: string[] = [];
  const whole = new Promise<void>((resolve, reject) => {
    socket.on("message", (data) => {
      const text = String(data);
      const { type, end } = JSON.parse(text) as { readonly type: string; readonly end?: boolean };
      frames.push(text);
      if (type === "snapshot" && end) resolve();
    });
    socket.once("close", (code, reason) => reject(new Error(`the controller ended the session: ${reason} (${code})`)));
  });
  socket.send(JSON.stringify({ type: "hello", ...hello }));
  const chunks = chunk(keys);
  chunks.forEach((part, i) => {
    socket.send(JSON.stringify({ type: "interest", keys: part, end: i === chunks.length - 1 }));
  });
  await whole;
  socket.terminate();
  return frames;
}
