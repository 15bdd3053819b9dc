// An honest operator: reads, writes, new connections and imports, each at a pace that does not wait for answers.
import { Agent, type RequestOptions, request } from "node:https";
import { pause } from "../../../lab/wait.ts";
import { serveOrders } from "../crew.ts";
import type { Target } from "../means.ts";
import { pace, Samples } from "../samples.ts";

export type OperatorOrder =
  | { readonly kind: "begin"; readonly target: Target; readonly ca: string; readonly token: string }
  | { readonly kind: "cut" }
  | { readonly kind: "end" };

const readEveryMs = 5;
const writeEveryMs = 50;
const connectEveryMs = 50;
/** The next one only when the last is answered: the controller does one at a time. */
const importEveryMs = 100;
const timeoutMs = 10_000;
/** After an import that was refused because another one is running. */
const retryMs = 50;
/** Standing connections, as a program with a pool of them has. */
const maxSockets = 8;

const samples = new Samples();
let end = (): void => {};

serveOrders(async (order: OperatorOrder) => {
  if (order.kind === "cut") return samples.cut();
  end();
  end = () => {};
  if (order.kind === "end") return undefined;
  end = await begin(order);
  return undefined;
});

async function begin({ target, ca, token }: Extract<OperatorOrder, { kind: "begin" }>): Promise<() => void> {
  const standing = new Agent({ keepAlive: true, maxSockets });
  let written = 0;
  const vm = () => {
    const ip = `10.127.0.${1 + (written++ % 250)}`;
    return { host: "honest", interfaces: [{ network: "shared", mac: "52:54:00:ff:ff:01", ips: [ip] }] };
  };
  const call = (method: string, path: string, more: { agent: Agent | false; type?: string; body?: string }) => {
    const { agent, type = "application/json", body = "" } = more;
    const content = body === "" ? {} : { "content-type": type, "content-length": Buffer.byteLength(body) };
    const headers = { authorization: `Bearer ${token}`, ...content };
    return answered({ host: target.ipv4, port: target.port, ca, agent, method, path, headers }, body);
  };
  const operations = {
    reads: () => call("GET", "/v1/vms/vm-1", { agent: standing }),
    writes: () => call("PUT", "/v1/vms/web", { agent: standing, body: JSON.stringify(vm()) }),
    connects: () => call("GET", "/v1/vms/vm-1", { agent: false }),
    imports: () => {
      const body = `${JSON.stringify({ kind: "vm", name: "web", ...vm() })}\n`;
      return patiently(() => call("POST", "/v1/import", { agent: standing, type: "application/x-ndjson", body }));
    },
  };
  for (const act of Object.values(operations)) await act();
  const importOne = async () => {
    if (samples.pendingOf("imports") === 0) await samples.time("imports", operations.imports);
  };
  const stops = [
    pace(readEveryMs, () => samples.time("reads", operations.reads)),
    pace(writeEveryMs, () => samples.time("writes", operations.writes)),
    pace(connectEveryMs, () => samples.time("connects", operations.connects)),
    pace(importEveryMs, importOne),
  ];
  return () => {
    for (const stop of stops) stop();
    standing.destroy();
  };
}

/** While another import is running it reports that, and is retried until the deadline. @throws Error */
async function patiently(act: () => Promise<void>): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await act();
    } catch (error) {
      const isBusy = error instanceof Error && error.message === "503";
      if (!isBusy || performance.now() > endMs) throw error;
      await pause(retryMs);
    }
  }
}

/** @throws Error for any answer but success, and without one in time: waiting for a free connection counts */
function answered(options: RequestOptions, body: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => call.destroy(new Error("no answer in time")), timeoutMs);
    const call = request(options, (response) => {
      const { statusCode = 0 } = response;
      response.on("error", reject).resume();
      response.once("end", () => (statusCode < 300 ? resolve() : reject(new Error(String(statusCode)))));
    });
    call.once("error", (error) => reject(new Error("code" in error ? String(error.code) : error.message)));
    call.once("close", () => clearTimeout(timer));
    call.end(body);
  });
}
