// The reference for the event stream: `ws` with the broadcast of its documentation, and nothing else. A separate
// process.
// node bare-server.js <port>;  POST / with a message per line sends each of them to all connected clients.
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const maxBufferedBytes = 4 * 1024 * 1024;

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    for (const message of Buffer.concat(chunks).toString().split("\n")) {
      // Encoded once: as a text, each client would get its own copy.
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
