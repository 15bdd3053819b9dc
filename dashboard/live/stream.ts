// The event stream of this page, over its browser's WebSocket.
import { get } from "../api.ts";
import { EventStream } from "./event-stream.ts";

export const stream = new EventStream({
  open(path, protocols, { onOpen, onMessage, onClose }) {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}${path}`, protocols);
    socket.onopen = onOpen;
    socket.onmessage = ({ data }) => onMessage(String(data));
    socket.onclose = ({ code, reason }) => onClose(code, reason);
    return socket;
  },
  get,
  nowMs: () => Date.now(),
  random: () => Math.random(),
});

addEventListener("online", () => stream.retryNow());
addEventListener("offline", () => stream.suspect());
setInterval(() => stream.checkSilence(), 1_000);
