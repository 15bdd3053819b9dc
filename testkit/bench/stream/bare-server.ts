// What the event stream is measured beside: `ws` as its documents say to broadcast, and nothing else. A process of its own.
//   node bare-server.js <port>;  POST / with a message per line sends each of them to everybody who is connected.
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const maxBufferedBytes = 4 * 1024 * 1024;

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    for (const message of Buffer.concat(chunks).toString().split("\n")) {
      // Made into bytes once: as a text, each client would get a copy of its own.
      const bytes = Buffer.from(message);
      for (const client of sockets.clients) {
        // The bound that nearmiss has too.
        if (client.bufferedAmount > maxBufferedBytes) client.terminate();
        else client.send(bytes, { binary: false });
      }
    }
    response.end();
  });
});
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
server.listen(Number(process.argv[2]), "127.0.0.1");
