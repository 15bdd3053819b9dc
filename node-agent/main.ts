// The agent's process: log, signals, exit status.
import type { Server } from "node:http";
import closeWithGrace from "close-with-grace";
import { pino } from "pino";
import { defined } from "../common/defined.ts";
import { trimHeap } from "../common/trim-heap.ts";
import { Agent, type AgentOptions } from "./agent.ts";
import type { AgentFlags } from "./flags.ts";
import { type Established, establishIdentity, IdentityError } from "./identity/establish.ts";
import { Renewal } from "./identity/renewal.ts";
import { HostState, StateError } from "./identity/state.ts";
import { SystemCallError, trimAllocator } from "./kernel/sockets/libc.ts";
import { NetlinkError } from "./kernel/sockets/request-socket.ts";
import type { MetricsAddress } from "./metrics/server.ts";
import { claimNamespace, SecondAgentError } from "./only-agent.ts";
import { failStart } from "./start-failure.ts";
import { answerStatus } from "./status/answer.ts";
import { openStatusServer, SocketTakenError, type StatusServer } from "./status/server.ts";
import { defaultSocket } from "./status/socket-path.ts";
import { warmUp } from "./warm-up.ts";

const EPERM = 1;

export async function runAgent(flags: AgentFlags): Promise<void> {
  const first = pino({ level: flags.logLevel, base: {} }, pino.destination({ dest: 2, sync: true }));
  const claim = await claimNamespace((says) => first.warn(says)).catch((error: unknown) => {
    if (error instanceof SecondAgentError) return failStart(first, error.message);
    throw error;
  });
  const { controller, host, enrolled } = await establish(flags, first);
  const log = first.child({ host });
  const deps = { controller, log, now: Date.now, random: Math.random };
  const renewal = enrolled && new Renewal(enrolled.identity, { ...deps, state: enrolled.state });
  const storeDirectory = await findStore(flags, host, enrolled !== undefined, log);
  const agent = openAgent({ ...flags, controller, host, ...defined({ renewal, storeDirectory }) }, log);
  const status = await openStatus(flags.socket ?? defaultSocket(host), agent, log);
  const metrics = flags.metrics && (await openMetrics(flags.metrics, agent, log));
  closeWithGrace({ delay: 5_000, logger: false }, async ({ err }) => {
    if (err) log.fatal({ err }, "the agent failed");
    status?.close();
    metrics?.close();
    await agent.stop();
    claim?.close();
  });
  // Before the warm-up: it discards compiled code, too.
  trimHeap();
  trimAllocator();
  await warmUp();
  await agent.start();
}

async function establish(flags: AgentFlags, log: pino.Logger): Promise<Established> {
  try {
    return await establishIdentity(flags, log);
  } catch (error) {
    if (!(error instanceof IdentityError)) throw error;
    failStart(log, error.message);
  }
}

/** @returns where this host's networks are kept, if they are; with `--remember off` those of an earlier run are removed */
async function findStore(
  { stateDir, remember }: AgentFlags,
  host: string,
  isEnrolled: boolean,
  log: pino.Logger,
): Promise<string | undefined> {
  const state = new HostState(stateDir);
  if (remember === "on" || (remember === "enrolled" && isEnrolled)) return state.networksOf(host);
  if (remember === "enrolled") return undefined;
  try {
    await state.forgetNetworks(host);
  } catch (error) {
    if (!(error instanceof StateError)) throw error;
    log.error({ reason: error.message }, "stored networks not removed");
  }
  return undefined;
}

function openAgent(options: AgentOptions, log: pino.Logger): Agent {
  try {
    return new Agent(options, log);
  } catch (error) {
    const refused = error instanceof SystemCallError && error.errno === EPERM;
    if (!refused && !(error instanceof NetlinkError)) throw error;
    failStart(log, "the kernel refuses: run the agent as root, or give it CAP_NET_ADMIN and CAP_NET_RAW");
  }
}

/** An agent without its metrics does its work all the same. */
async function openMetrics(address: MetricsAddress, agent: Agent, log: pino.Logger): Promise<Server | undefined> {
  try {
    // Loaded only if they are configured: the agent starts faster.
    const [{ agentMetrics }, { serveMetrics }] = [
      await import("./metrics/metrics.ts"),
      await import("./metrics/server.ts"),
    ];
    const server = await serveMetrics(agentMetrics(agent.metrics), address);
    log.info({ address: server.address() }, "metrics at /metrics");
    return server;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    log.error(
      { metrics: `${address.host}:${address.port}`, reason },
      "no metrics: give --metrics another address and port, or free this one",
    );
    return undefined;
  }
}

/** An agent without its socket does its work all the same; two agents on one would not. */
async function openStatus(socket: string, agent: Agent, log: pino.Logger): Promise<StatusServer | undefined> {
  try {
    return await openStatusServer(socket, (request) => answerStatus(agent.sources, request));
  } catch (error) {
    if (error instanceof SocketTakenError) failStart(log, error.message);
    const reason = error instanceof Error ? error.message : String(error);
    log.error({ socket, reason }, "no local socket: nearmiss agent status and explain cannot query this agent");
    return undefined;
  }
}
