// The agents of a whole fleet in one thread beside the bench: each the real session with the controller, with its backoff and
// its parsing, and nothing behind it.
import net from "node:net";
import tls from "node:tls";
import { isMainThread, parentPort, workerData } from "node:worker_threads";
import { pino } from "pino";
import { ControllerLink, type Hello } from "../../../node-agent/controller-link/link.ts";
import { type BindingKey, parseVtep, type Revision } from "../../../schema/address/index.ts";
import { protocolVersions } from "../../../schema/agent/index.ts";
import { enterNamespace } from "../../lab/namespace.ts";
import { hostName, peersOf, vtepOf } from "../made-up-fleet.ts";
import { type Identity, loopbackOf } from "./identities.ts";

export interface AgentsData {
  readonly url: string;
  /** The CA for checking the server; empty without TLS. */
  readonly ca: string;
  /** Of each agent; empty without TLS. */
  readonly identities: readonly Identity[];
  readonly hosts: number;
  readonly vms: number;
  /** VMs of other hosts that each has cached, an IP and a MAC each. */
  readonly held: number;
  /** Where they are, and register their hosts themselves; absent: here, with hosts that are registered. */
  readonly namespace?: string;
}

/** Of all agents together. */
export interface AgentsReport {
  /** Agents with a whole snapshot of the present session. */
  readonly inSync: number;
  /** Since the last report, like all of the following: snapshots without an answer to a cached key. */
  readonly incomplete: number;
  /** Sessions and tries that ended. */
  readonly ended: number;
  /** When agents were in sync, ms of `nowMs`. */
  readonly syncedAtMs: readonly number[];
}

/** The same in all threads of the process. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

export function hello(host: number): Hello {
  return { protocol: protocolVersions, version: "bench", host: hostName(host), vtepPort: 4789, seeding: true };
}

/** What a returning agent has. */
export interface Position {
  readonly epoch: string;
  readonly asOf: Revision;
}

export function keysOf(host: number, { vms, held }: Pick<AgentsData, "vms" | "held">): BindingKey[] {
  return peersOf(host, vms, held).flatMap(({ vni, ips, mac }): BindingKey[] => [
    { kind: "ip", vni, ip: ips[0] },
    { kind: "mac", vni, mac },
  ]);
}

function run(data: AgentsData): void {
  const log = pino({ level: "silent" });
  const inSync = new Set<number>();
  let since = { incomplete: 0, ended: 0, syncedAtMs: [] as number[] };
  const ignore = (): void => {};
  if (data.namespace !== undefined) enterNamespace(data.namespace);
  const vtepOfHost = (n: number) => (data.namespace === undefined ? {} : { vtep: parseVtep(vtepOf(n)) });
  comeFromManyAddresses(data.hosts);
  for (let n = 0; n < data.hosts; n++) {
    const keys = keysOf(n, data);
    let epoch: string | undefined;
    let position: Position | undefined;
    const identity = data.identities[n];
    const confirm = ({ asOf }: { readonly asOf: Revision }) => {
      link.send({ type: "applied", revision: asOf, problems: [] });
    };
    const link: ControllerLink = new ControllerLink(
      new URL(data.url),
      () => identity && { ...identity, ca: data.ca },
      {
        hello: () => ({ ...hello(n), ...vtepOfHost(n), ...position }),
        interest: () => [{ keys, ...(position ? { held: "binding" } : {}) }],
        onSnapshot: (frame) => {
          const isWhole = frame.answers.filter(({ binding }) => binding !== null).length >= keys.length;
          if (!isWhole && frame.since === undefined) since.incomplete++;
          if (epoch !== undefined) position = { epoch, asOf: frame.asOf };
          inSync.add(n);
          since.syncedAtMs.push(nowMs());
          confirm(frame);
        },
        onHeartbeat: confirm,
        onChanges: confirm,
        onClosed: () => {
          since.ended++;
          inSync.delete(n);
        },
        onGroups: () => {},
        onWelcome: (frame) => {
          epoch = frame.epoch;
        },
        onAnswers: ignore,
        onBase: ignore,
        onDelta: ignore,
        onHosts: ignore,
        onSenders: ignore,
        onTrust: ignore,
        onClaimed: ignore,
        onProbe: ignore,
        onRevoked: ignore,
      },
      log,
    );
    link.start();
  }
  parentPort?.on("message", () => {
    parentPort?.postMessage({ inSync: inSync.size, ...since } satisfies AgentsReport);
    since = { incomplete: 0, ended: 0, syncedAtMs: [] };
  });
}

/** Each connection from another, because limits are by address and hosts have one each. An agent has no setting for that. */
function comeFromManyAddresses(hosts: number): void {
  let next = 0;
  for (const module of [net, tls] as { connect: (options: object) => net.Socket }[]) {
    const { connect } = module;
    module.connect = (options) => connect({ ...options, localAddress: loopbackOf(next++ % hosts) });
  }
}

if (!isMainThread) run(workerData as AgentsData);
