// The clients of `register`, a process of their own: each keeps one connection and posts VM after VM, the next as soon as one is
// answered. Plain sockets: full HTTP clients would be the bottleneck.
//   node client.js <port> <token or -> <clients> <ms> <number of the first VM>   prints a `ClientReport`
import { connect } from "node:net";
import { distribution, median } from "../../statistics.ts";
import { vmBody } from "./body.ts";
import type { ClientReport } from "./side.ts";

const [port = "", token = "", clients = "", ms = "", first = ""] = process.argv.slice(2);
const authorization = token === "-" ? "" : `Authorization: Bearer ${token}\r\n`;
const times: number[] = [];
const statuses = new Map<string, number>();
let next = Number(first);
let endMs = Number.POSITIVE_INFINITY;

function request(): string {
  const body = JSON.stringify(vmBody(next++));
  const length = `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`;
  return `POST /v1/vms HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${authorization}${length}\r\n${body}`;
}

/** Counts requests that were not answered in time with the time that they have waited. @returns how many were answered */
function client(opened: () => void, mayBegin: Promise<void>): Promise<number> {
  return new Promise((resolve, reject) => {
    let answered = 0;
    let startMs = 0;
    let text = "";
    const socket = connect({ port: Number(port), host: "127.0.0.1", noDelay: true });
    const send = () => {
      startMs = performance.now();
      socket.write(request());
    };
    const stop = () => {
      socket.destroy();
      resolve(answered);
    };
    socket.setEncoding("latin1").on("error", reject);
    socket.on("data", (part: string) => {
      text += part;
      const head = text.indexOf("\r\n\r\n");
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1]);
      if (head < 0 || text.length < head + 4 + length) return;
      const status = text.slice(9, 12);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      times.push(performance.now() - startMs);
      answered += 1;
      text = "";
      if (performance.now() < endMs) send();
      else stop();
    });
    // All begin together, whether they have been accepted or not.
    socket.once("connect", opened);
    void mayBegin.then(() => {
      send();
      setTimeout(() => {
        if (socket.destroyed) return;
        times.push(performance.now() - startMs);
        stop();
      }, 2 * Number(ms)).unref();
    });
  });
}

let waiting = Number(clients);
let begin = (): void => {};
const begun = new Promise<void>((resolve) => {
  begin = resolve;
});
const opened = (): void => {
  waiting -= 1;
  if (waiting > 0) return;
  endMs = performance.now() + Number(ms);
  begin();
};
const beginMs = performance.now();
const counts = await Promise.all(Array.from({ length: Number(clients) }, () => client(opened, begun)));
const report: ClientReport = {
  seconds: (performance.now() - beginMs) / 1_000,
  answers: counts.reduce((sum, count) => sum + count, 0),
  statuses: Object.fromEntries(statuses),
  times: distribution(times),
  leastServed: Math.min(...counts) / median(counts),
};
process.stdout.write(JSON.stringify(report));
