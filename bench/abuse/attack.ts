// Attackers on a controller, as a process of their own: several kinds at once, each at the same pace, from one address that is
// not the honest clients'. Attacks while told to by its parent, and counts what it was answered.
import { request } from "node:http";
import { connect, type Socket } from "node:net";

const from = "127.0.0.2";
const [base = "", rate = "20"] = process.argv.slice(2);
const [host, port] = base.split(":");
/** Attacks of each kind in a second. */
const perSecond = Number(rate);
/** Connections that never end their headers. */
const slowConnections = 100;
const guess = `Bearer nm_admin_${"A".repeat(43)}`;

const answers: Record<string, number> = {};
const slow = new Set<Socket>();

function count(answer: string): void {
  answers[answer] = (answers[answer] ?? 0) + 1;
}

function send(method: string, path: string, headers: Record<string, string>, body = ""): void {
  const options = { host, port, localAddress: from, method, path, headers: { host: base, ...headers }, agent: false };
  const call = request(options, (response) => {
    count(String(response.statusCode));
    response.resume();
    call.destroy();
  });
  call.on("upgrade", () => count("upgraded"));
  call.on("error", () => count("closed"));
  if (body === "") call.end();
  else call.write(body);
}

const upgrade = {
  connection: "upgrade",
  upgrade: "websocket",
  "sec-websocket-version": "13",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
};

const attacks: readonly (() => void)[] = [
  () => send("GET", "/v1/vms", { authorization: guess }),
  () =>
    send(
      "PUT",
      "/v1/networks/x",
      { authorization: guess, "content-type": "application/json", "content-length": "1073741824" },
      "{",
    ),
  () => send("GET", "/v1/vms", { host: "evil.example" }),
  () => send("GET", "/v1/events", { ...upgrade, origin: "https://evil.example" }),
  () => send("GET", "/v1/agent", upgrade),
  () => send("GET", "/v1/vms/..%2f..%2fetc%2fpasswd", { authorization: "Bearer ' OR 1=1 --" }),
];

function keepSlow(): void {
  for (const socket of slow) socket.write("x");
  while (slow.size < slowConnections) {
    const socket = connect({ host: host ?? "", port: Number(port), localAddress: from });
    slow.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => slow.delete(socket));
    socket.write(`GET /v1/vms HTTP/1.1\r\nHost: ${base}\r\nX-Slow: `);
  }
}

let timers: NodeJS.Timeout[] = [];

process.on("message", (message) => {
  for (const timer of timers) clearInterval(timer);
  timers = [];
  if (message === "attack") {
    timers.push(setInterval(keepSlow, 1_000));
    timers.push(...attacks.map((attack) => setInterval(attack, 1_000 / perSecond)));
    keepSlow();
    return;
  }
  for (const socket of slow) socket.destroy();
  process.send?.(answers);
});
process.on("disconnect", () => process.exit(0));
