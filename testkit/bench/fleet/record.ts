// Records the bytes that a controller sends to one agent that returns.
import { WebSocket } from "ws";
import { type Declared, type Hello, interestFrames } from "../../../node-agent/controller-link/link.ts";
import type { BindingKey } from "../../../schema/address/index.ts";
import { agentPath, type ControllerFrame } from "../../../schema/agent/index.ts";

/** @returns welcome and snapshot of an agent that has everything from an earlier session */
export async function recordFrames(base: string, hello: Hello, keys: readonly BindingKey[]): Promise<string[]> {
  const first = await recordSession(base, hello, [{ keys }]);
  const welcome = first.map((text) => JSON.parse(text) as ControllerFrame).find(({ type }) => type === "welcome");
  if (welcome?.type !== "welcome") throw new Error("the controller sent no welcome");
  const { epoch, asOf } = welcome;
  return recordSession(base, { ...hello, epoch, asOf }, [{ keys, held: "binding" }]);
}

async function recordSession(base: string, hello: Hello, declared: readonly Declared[]): Promise<string[]> {
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
  for (const frame of interestFrames(declared)) socket.send(JSON.stringify(frame));
  await whole;
  socket.terminate();
  return frames;
}
