// nearmiss itself: a controller, and an agent on every host. By default, agents log as much as an operator's.
import { once } from "node:events";
import { askAgent } from "../../../node-agent/status/client.ts";
import type { StatusReport } from "../../../node-agent/status/report.ts";
import type { Lab } from "../../lab/lab.ts";
import { builtFile, controllerPort } from "../../lab/programs.ts";
import { waitFor } from "../../lab/wait.ts";
import { type Endpoint, network } from "../addresses.ts";
import type { DelayedWay } from "./delayed-way.ts";
import type { Mode, ModeName } from "./mode.ts";

const farPort = controllerPort + 1;
/** A round trip of 5 ms; timers count whole ones. */
const farMs = { thereMs: 3, backMs: 2 };

export interface NearmissOptions {
  readonly name: Exclude<ModeName, "static" | "flood-and-learn" | "tutorial">;
  readonly announce: boolean;
  /** Default: on demand. */
  readonly knowledge?: "replicate" | "prefetch";
  /** The controller is stopped while packets are sent. */
  readonly alone?: true;
  /** Agents reach their controller by a long way. */
  readonly far?: true;
  /** Nothing keeps the way of a miss warm. */
  readonly cold?: true;
  /** pino's, of the agents. */
  readonly agentLogLevel?: string;
}

export function nearmissMode({
  name,
  announce,
  knowledge,
  alone,
  far,
  cold,
  agentLogLevel = "info",
}: NearmissOptions): Mode {
  const counted = {
    resolves: (lab: Lab) => countQuestions(lab, "known"),
    questions: (lab: Lab) => countQuestions(lab),
  };
  const around: Pick<Mode, "begin" | "end"> = {
    begin: async (lab) => void (await lab.controller.stop("SIGTERM")),
    end: async (lab) => {
      await lab.startController();
      await untilConnected(lab);
      await untilComplete(lab);
    },
  };
  return {
    name,
    // Alone: agents find a controller again within seconds.
    slow: !announce || alone === true,
    prepare: async (lab) => {
      const heat = cold ? ["--fast-path", "cold"] : [];
      await lab.startController({ extraArgs: heat });
      // The last of several flags counts.
      const way = far ? ["--controller", await openFarWay(lab)] : [];
      const extraArgs = [...way, ...heat, ...(announce ? [] : ["--announce", "off"])];
      for (const host of lab.hosts) host.startAgent({ logLevel: agentLogLevel, extraArgs });
      await untilConnected(lab);
      const { name: networkName, vni, subnets } = network;
      await call(lab, "PUT", `/v1/networks/${networkName}`, { vni, subnets, ...(knowledge ? { knowledge } : {}) });
      // Guests are replaced; this VM of each host keeps the network's devices there.
      await Promise.all(lab.hosts.map((host, i) => register(lab, anchor(host.name, i), host.name)));
      if (knowledge) await untilComplete(lab);
    },
    place: async (lab, come, gone) => {
      await Promise.all(gone.map(({ endpoint }) => call(lab, "DELETE", `/v1/vms/${endpoint.name}`)));
      await Promise.all(come.map(({ endpoint, host }) => register(lab, endpoint, host.name)));
      const last = come.at(-1);
      if (knowledge && last) await untilKnown(lab, last.endpoint.name, last.host.name);
    },
    ...(knowledge ? {} : counted),
    ...(alone ? around : {}),
  };
}

/** @returns the URL of a controller that is far away; the way ends with the lab, like every program in its namespaces */
async function openFarWay(lab: Lab): Promise<string> {
  const host = lab.controllerAddress;
  const way: DelayedWay = { listen: { host, port: farPort }, to: { host, port: controllerPort }, ...farMs };
  const program = builtFile("testkit", "bench", "modes", "delay-proxy.js");
  const child = lab.controllerNamespace.spawn([process.execPath, program, JSON.stringify(way)]);
  child.stdin.end();
  child.stderr.pipe(process.stderr, { end: false });
  await once(child.stdout, "data");
  return `http://${host}:${farPort}`;
}

export async function untilConnected(lab: Lab): Promise<void> {
  await Promise.all(
    lab.hosts.map((host) =>
      waitFor(async () => (await call<{ connected?: boolean }>(lab, "GET", `/v1/hosts/${host.name}`)).connected, {
        what: `host ${host.name} to connect`,
        deadlineMs: 60_000,
        everyMs: 50,
      }),
    ),
  );
}

/** Every host has the network in memory. */
export async function untilComplete(lab: Lab, vni: number = network.vni): Promise<void> {
  const isComplete = async (socket: string): Promise<boolean> => {
    const { networks } = (await askAgent(socket, { type: "status" })).result as StatusReport;
    return networks.find((each) => each.vni === vni)?.replica?.state === "complete";
  };
  await Promise.all(
    lab.hosts.map((host) =>
      waitFor(() => isComplete(host.agentSocket), {
        what: `host ${host.name} to have the network`,
        deadlineMs: 60_000,
      }),
    ),
  );
}

/** A move to where the VM is changes nothing, and is confirmed when every host has all before it. */
async function untilKnown(lab: Lab, vm: string, host: string): Promise<void> {
  const { unconfirmed } = await call<{ unconfirmed: readonly unknown[] }>(lab, "POST", `/v1/vms/${vm}/move`, {
    host,
    wait: true,
    timeoutMs: 60_000,
  });
  if (unconfirmed.length > 0) throw new Error(`not every host knows VM ${vm}: ${JSON.stringify(unconfirmed)}`);
}

function anchor(host: string, number: number): Pick<Endpoint, "name" | "mac"> {
  const byte = number.toString(16).padStart(2, "0");
  return { name: `anchor-${host}`, mac: `52:54:fe:00:00:${byte}` };
}

async function register(lab: Lab, vm: Pick<Endpoint, "name" | "mac"> & { ip?: string }, host: string): Promise<void> {
  const ips = vm.ip === undefined ? [] : [vm.ip];
  await registerVm(lab, vm.name, host, { network: network.name, mac: vm.mac, ips });
}

/** Registers a VM, and waits until its own host has taken note. */
export async function registerVm(lab: Lab, name: string, host: string, attached: object): Promise<void> {
  const { ready } = await call<{ ready?: boolean }>(lab, "POST", "/v1/vms?wait=ready&timeoutMs=60000", {
    name,
    host,
    interfaces: [attached],
  });
  if (!ready) throw new Error(`host ${host} is not ready for VM ${name}`);
}

async function countQuestions(lab: Lab, result?: "known"): Promise<number> {
  const text = await call<string>(lab, "GET", "/metrics");
  const counts = text.matchAll(/^nearmiss_controller_resolves_total\{[^}]*result="(\w+)"[^}]*\} (\d+)/gm);
  return [...counts]
    .filter(([, each]) => result === undefined || each === result)
    .reduce((sum, [, , count]) => sum + Number(count), 0);
}

/** A REST call that must succeed. */
export async function call<Body = unknown>(lab: Lab, method: string, path: string, body?: unknown): Promise<Body> {
  const reply = await lab.api<Body>(method, path, body);
  if (reply.status >= 300) throw new Error(`${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`);
  return reply.body;
}
