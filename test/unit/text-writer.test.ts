import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import WebSocket, { WebSocketServer } from "ws";
import { type SendText, textWriter } from "../../controller/agents/text-writer.ts";

/** Both ends of a WebSocket on loopback, and what the client has received. */
async function connected() {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  onTestFinished(() => void server.close());
  await once(server, "listening");
  const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  onTestFinished(() => client.terminate());
  const received: string[] = [];
  client.on("message", (data) => received.push(data.toString()));
  client.on("ping", (data) => received.push(`ping ${data}`));
  const [socket, request] = (await once(server, "connection")) as [WebSocket, IncomingMessage];
  const send: SendText = textWriter(socket, request.socket);
  return { socket, client, send, received };
}

const text = (length: number, of = "a"): string => of.repeat(length);

test("texts of all lengths and of any characters arrive whole and in order", async () => {
  const { socket, client, send, received } = await connected();
  const texts = [0, 1, 125, 126, 127, 255, 256, 65_535, 65_536, 70_000].map((length) => text(length));
  // As many characters as fit, and more bytes.
  texts.push("tap-ä", text(125, "é"), text(65_535, "€"), "", text(3, "\u{1f5a7}"));
  for (const each of texts) send(each);
  socket.close(4000);
  await once(client, "close");
  expect(received).toEqual(texts);
});

test("control frames may come between them", async () => {
  const { socket, client, send, received } = await connected();
  send("one");
  socket.ping("1");
  send("two");
  send("drei: ß");
  socket.ping("2");
  send("four");
  socket.close(4000);
  await once(client, "close");
  expect(received).toEqual(["one", "ping 1", "two", "drei: ß", "ping 2", "four"]);
});

test("nothing follows a close", async () => {
  const { socket, client, send, received } = await connected();
  send("before");
  socket.close(4000, "over");
  send("behind it");
  send("and this, with ü");
  const [code, reason] = await once(client, "close");
  expect([received, code, String(reason)]).toEqual([["before"], 4000, "over"]);
});

test("what the peer has not read counts as waiting", async () => {
  const { socket, client, send } = await connected();
  client.pause();
  const frame = text(60_000);
  for (let sent = 0; sent < 400; sent++) send(frame);
  expect(socket.bufferedAmount).toBeGreaterThan(0);
  client.resume();
  await new Promise((resolve) => socket.ping(undefined, false, resolve));
  expect(socket.bufferedAmount).toBe(0);
});
