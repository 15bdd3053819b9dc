// What the controller is measured beside: `ws` that answers each agent with one recorded welcome and snapshot, and looks
// nothing up. A process of its own.
//   node bare-server.js <url> <directory>
// The directory has the file `frames`, a frame per line, and for https: `certificate` and `key`. GET / tells how late its event
// loop was since the last GET.
import { readFileSync } from "node:fs";
import { createServer as plainServer, type RequestListener } from "node:http";
import { createServer as tlsServer } from "node:https";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { WebSocketServer } from "ws";

const [url = "", directory = ""] = process.argv.slice(2);
const { protocol, hostname, port } = new URL(url);
const fileOf = (name: string): string => readFileSync(join(directory, name), "utf8");
const frames = fileOf("frames").split("\n");
const delay = monitorEventLoopDelay({ resolution: 10 });
delay.enable();

const tellDelay: RequestListener = (_request, response) => {
  const [max, p99] = [delay.max, delay.percentile(99)].map((ns) => Math.round(ns / 1e6));
  delay.reset();
  response.end(JSON.stringify({ max, p99 }));
};
const server =
  protocol === "https:"
    ? tlsServer(
        { cert: fileOf("certificate"), key: fileOf("key"), requestCert: true, rejectUnauthorized: false },
        tellDelay,
      )
    : plainServer(tellDelay);
new WebSocketServer({ server, perMessageDeflate: false }).on("connection", (socket) => {
  socket.on("message", (data) => {
    const { type, end } = JSON.parse(String(data)) as { readonly type: string; readonly end?: boolean };
    if (type === "interest" && end) for (const frame of frames) socket.send(frame);
  });
});
server.listen(Number(port), hostname, 4_096);
