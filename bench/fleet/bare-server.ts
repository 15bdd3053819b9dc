// What the controller is measured beside: `ws` that answers each agent with one recorded welcome and snapshot, and looks
// nothing up. A process of its own.
//   node bare-server.js <port> <file>;  the file: a frame per line;  GET / tells how late its event loop was since the last GET
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { WebSocketServer } from "ws";

const [port, file = ""] = process.argv.slice(2);
const frames = readFileSync(file, "utf8").split("\n");
const delay = monitorEventLoopDelay({ resolution: 10 });
delay.enable();

const server = createServer((_request, response) => {
  const [max, p99] = [delay.max, delay.percentile(99)].map((ns) => Math.round(ns / 1e6));
  delay.reset();
  response.end(JSON.stringify({ max, p99 }));
});
new WebSocketServer({ server, perMessageDeflate: false }).on("connection", (socket) => {
  socket.on("message", (data) => {
    const { type, end } = JSON.parse(String(data)) as { readonly type: string; readonly end?: boolean };
    if (type === "interest" && end) for (const frame of frames) socket.send(frame);
  });
});
server.listen(Number(port), "127.0.0.1", 4_096);
