// Attacks without credentials.
import { request } from "node:https";
import { every } from "../../../../common/every.ts";
import type { Attack, Battle } from "./attack.ts";
import {
  hostHeader,
  keepMany,
  openTcp,
  openTls,
  recordClientHello,
  type Way,
  wayOverIpv4,
  wayOverIpv6,
} from "./connections.ts";

/** Connections that never end their headers. */
const slowConnections = 100;
/** Handshakes that a stranger has open at the same time while it fills its connections. */
const maxOpening = 64;
const guess = `Bearer nm_admin_${"A".repeat(43)}`;

const upgrade = {
  connection: "upgrade",
  upgrade: "websocket",
  "sec-websocket-version": "13",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
};
const endlessBody = { authorization: guess, "content-type": "application/json", "content-length": "1073741824" };

type Request = readonly [method: string, path: string, headers: Readonly<Record<string, string>>, body?: string];

const requests: readonly Request[] = [
  ["GET", "/v1/vms", { authorization: guess }],
  ["PUT", "/v1/networks/x", endlessBody, "{"],
  ["GET", "/v1/vms", { host: "evil.example" }],
  ["GET", "/v1/events", { ...upgrade, origin: "https://evil.example" }],
  ["GET", "/v1/agent", upgrade],
  ["GET", "/v1/vms/..%2f..%2fetc%2fpasswd", { authorization: "Bearer ' OR 1=1 --" }],
];

/** Six kinds of requests, each at a rate, beside connections that never end their headers. */
const strangersRequests: Attack = (battle) => {
  const { target, means } = battle;
  const timers = requests.map((each) => every(1_000 / means.sizes.rate, () => send(battle, each)));
  battle.grown();
  const slow = new Set<() => void>();
  const stopSlow = keepMany({
    size: slowConnections,
    maxOpening,
    open: (opened) => {
      const socket = openTls(wayOverIpv4(battle)).once("secureConnect", opened);
      socket.write(`GET /v1/vms HTTP/1.1\r\nHost: ${hostHeader(target)}\r\nX-Slow: `);
      const drip = () => socket.write("x");
      slow.add(drip);
      return socket.once("close", () => slow.delete(drip)).resume();
    },
  });
  const dripAll = () => {
    for (const drip of slow) drip();
  };
  timers.push(every(1_000, dripAll));
  return () => {
    for (const timer of timers) timer.stop();
    stopSlow();
  };
};

function send(battle: Battle, [method, path, headers, body]: Request): void {
  const { target, count } = battle;
  const call = request(
    {
      ...wayOverIpv4(battle),
      method,
      path,
      headers: { host: hostHeader(target), ...headers },
      agent: false,
      rejectUnauthorized: false,
    },
    (response) => {
      count(`answered ${response.statusCode}`);
      response.resume();
      call.destroy();
    },
  );
  call.on("upgrade", (_response, socket) => {
    count("upgraded");
    socket.destroy();
  });
  call.on("error", () => count("closed"));
  if (body === undefined) call.end();
  else call.write(body);
}

/** Connections that say nothing after their handshake, as many as there is room for. */
const holdConnections =
  (way: (battle: Battle) => Way): Attack =>
  (battle) =>
    keepMany({
      size: battle.means.sizes.connections,
      maxOpening,
      onFull: battle.grown,
      open: (opened) => {
        const socket = openTls(way(battle)).once("secureConnect", () => {
          battle.count("handshakes");
          opened();
        });
        return socket.once("close", () => battle.count("closed")).resume();
      },
    });

/**
 * The first message of a handshake repeatedly: the server computes, the stranger waits for its answer and disconnects.
 */
const handshakes =
  (way: (battle: Battle) => Way): Attack =>
  (battle) => {
    let stop = (): void => {};
    let isRunning = true;
    void recordClientHello().then((hello) => {
      if (!isRunning) return;
      battle.grown();
      stop = keepMany({
        size: maxOpening * 4,
        maxOpening: maxOpening * 4,
        open: () => {
          const socket = openTcp(way(battle));
          socket.write(hello);
          socket.once("data", () => {
            battle.count("handshakes answered");
            socket.resetAndDestroy();
          });
          return socket.once("close", () => battle.count("handshakes"));
        },
      });
    });
    return () => {
      isRunning = false;
      stop();
    };
  };

export const strangers = {
  strangers: strangersRequests,
  "hold-ipv4": holdConnections(wayOverIpv4),
  "hold-ipv6": holdConnections(wayOverIpv6),
  "handshakes-ipv4": handshakes(wayOverIpv4),
  "handshakes-ipv6": handshakes(wayOverIpv6),
} as const satisfies Record<string, Attack>;
