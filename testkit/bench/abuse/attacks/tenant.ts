// Attacks with tokens that are narrowed to networks.
import { Agent, type RequestOptions, request } from "node:https";
import { every } from "../../../../common/every.ts";
import type { Attack, Battle } from "./attack.ts";
import { hostHeader, keepMany, openTls, wayOverIpv4 } from "./connections.ts";

const ndjson = "application/x-ndjson";
/** Imports that the operator tries to begin at the same time. */
const slowImports = 4;
const dripMs = 1_000;
/** Until an import that was refused is tried again. */
const retryMs = 100;

function options(battle: Battle, token: string, path: string): RequestOptions {
  const headers = { host: hostHeader(battle.target), authorization: `Bearer ${token}` };
  return { ...wayOverIpv4(battle), path, headers, rejectUnauthorized: false };
}

/** Connections that send one request and are then silent. */
const idleConnections: Attack = (battle) => {
  const { target, means, count } = battle;
  return keepMany({
    size: means.sizes.idle,
    maxOpening: 32,
    onFull: battle.grown,
    open: (opened) => {
      const socket = openTls(wayOverIpv4(battle));
      socket.write(
        `GET /v1/vms?limit=1 HTTP/1.1\r\nHost: ${hostHeader(target)}\r\nAuthorization: Bearer ${means.viewerToken}\r\n\r\n`,
      );
      socket.once("data", (data: Buffer) => {
        count(`answered ${data.subarray(9, 12).toString("latin1")}`);
        socket.resume().on("data", () => {});
        opened();
      });
      return socket;
    },
  });
};

/** Imports whose bodies arrive at a byte a second. */
const slowImport: Attack = (battle) => {
  const { means, count } = battle;
  let isRunning = true;
  const stops = new Set<() => void>();
  const begin = (): void => {
    if (!isRunning) return;
    const { headers, ...rest } = options(battle, means.operatorToken, "/v1/import");
    const call = request({ ...rest, method: "POST", agent: false, headers: { ...headers, "content-type": ndjson } });
    const timer = every(dripMs, () => void call.write(" "));
    const stop = () => {
      timer.stop();
      call.destroy();
    };
    stops.add(stop);
    call.on("response", (response) => {
      count(`answered ${response.statusCode}`);
      call.destroy();
    });
    call.on("error", () => {});
    call.once("close", () => {
      stop();
      stops.delete(stop);
      setTimeout(begin, retryMs);
    });
    count("imports begun");
    call.write('{"kind":"vm",');
  };
  for (let i = 0; i < slowImports; i++) begin();
  battle.grown();
  return () => {
    isRunning = false;
    for (const stop of stops) stop();
  };
};

/** The same pages of the log, and searches of all of it without a match, many at the same time. */
const logReads: Attack = (battle) => {
  const { means } = battle;
  const connections = new Agent({ keepAlive: true, maxSockets: means.sizes.logs });
  const paths = ["/v1/log?limit=500", "/v1/log?limit=500&name=absent"];
  const end = repeat(battle, means.sizes.logs, (n) => ({
    ...options(battle, means.viewerToken, paths[n % paths.length] ?? ""),
    agent: connections,
  }));
  return () => {
    end();
    connections.destroy();
  };
};

/** Making it takes longer than a turn. An attacker's means do not change. */
let dryRunBody: Buffer | undefined;

const dryRuns: Attack = (battle) => {
  const { means } = battle;
  dryRunBody ??= Buffer.from([...dryRunLines(means.network, means.sizes.importMib)].join(""));
  const body = dryRunBody;
  return repeat(battle, 1, () => {
    const { headers, ...rest } = options(battle, means.operatorToken, "/v1/import?dryRun=true");
    const content = { "content-type": ndjson, "content-length": body.length };
    return { ...rest, method: "POST", agent: false, headers: { ...headers, ...content }, body };
  });
};

/** VMs of the attacker's own network. */
function* dryRunLines(network: string, mib: number): Generator<string> {
  let bytes = 0;
  for (let n = 0; bytes < mib * 1_048_576; n++) {
    const [high, middle, low] = [(n >> 16) & 255, (n >> 8) & 255, n & 255];
    const mac = `52:54:01:${[high, middle, low].map((byte) => byte.toString(16).padStart(2, "0")).join(":")}`;
    const interfaces = [{ network, mac, ips: [`10.${high}.${middle}.${low}`] }];
    const line = `${JSON.stringify({ kind: "vm", name: `dry-${n}`, host: "rogue", interfaces })}\n`;
    bytes += line.length;
    yield line;
  }
}

/** So many requests at the same time, the next as soon as one has its answer. */
function repeat(
  { count, grown }: Battle,
  parallel: number,
  next: (number: number) => RequestOptions & { readonly body?: Buffer },
): () => void {
  let isRunning = true;
  const calls = new Set<ReturnType<typeof request>>();
  let sent = 0;
  const begin = (): void => {
    if (!isRunning) return;
    const { body, ...rest } = next(sent++);
    const call = request(rest, (response) => {
      count(`answered ${response.statusCode}`);
      response.on("error", () => {}).resume();
    });
    calls.add(call);
    call.on("error", () => count("closed"));
    call.once("close", () => {
      calls.delete(call);
      setImmediate(begin);
    });
    call.end(body);
  };
  for (let i = 0; i < parallel; i++) begin();
  grown();
  return () => {
    isRunning = false;
    for (const call of calls) call.destroy();
  };
}

export const tenant = {
  "idle-connections": idleConnections,
  "slow-import": slowImport,
  log: logReads,
  "dry-run": dryRuns,
} as const satisfies Record<string, Attack>;
