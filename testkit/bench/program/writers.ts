// Those who write the entries of answers in `program`: the agent to its own devices, the others to a second pair of the same kind.
import { type Answer, parseRevision } from "../../../schema/address/index.ts";
import { ipBatch, run } from "../../lab/command.ts";
import { Namespace } from "../../lab/namespace.ts";
import { answerFor, type CoreHost, local, placeOf } from "../core-host.ts";
import type { NativeProgram } from "../native/native.ts";

/** Seconds. */
interface Cost {
  readonly cpu: number;
  readonly wall: number;
}

export interface Writer {
  /** The answers of so many VMs, of which none is in the kernel. */
  write(first: number, vms: number): Promise<Cost>;
  remove(first: number, vms: number): Promise<unknown>;
}

/** Answers as frames bring them, each frame when the entries of the one before are acknowledged. */
export function agentWriter({ core }: CoreHost, perFrame: number): Writer {
  const take = async (answers: readonly Answer[]): Promise<Cost> => {
    const frames = Array.from({ length: Math.ceil(answers.length / perFrame) }, (_, i) =>
      answers.slice(i * perFrame, (i + 1) * perFrame),
    );
    const startMs = performance.now();
    const cpu = process.cpuUsage();
    for (const frame of frames) await core.writer.take(frame, "asked").programmed;
    const { user, system } = process.cpuUsage(cpu);
    return { cpu: (user + system) / 1e6, wall: (performance.now() - startMs) / 1_000 };
  };
  // Newer than all before.
  let revision = 1_000_000_000;
  return {
    write: (first, vms) => {
      revision += 1;
      return take(answersFor(first, vms).map((answer) => ({ ...answer, revision: parseRevision(revision) })));
    },
    remove: async (first, vms) => {
      revision += 1;
      const gone = answersFor(first, vms).map(({ key }) => ({ key, revision: parseRevision(revision), binding: null }));
      await take(gone);
    },
  };
}

function answersFor(first: number, vms: number): Answer[] {
  return Array.from({ length: vms }, (_, i) => answerFor(first + i));
}

interface Floor {
  readonly namespace: string;
  readonly tunnel: string;
  readonly ifindex: number;
}

/** A bridge and a vxlan device beside those of the agent. */
export async function makeFloor(namespace: string): Promise<Floor> {
  const tunnel = "floor-vx";
  await ipBatch(
    [
      "link add floor type bridge mcast_snooping 0",
      `link add ${tunnel} type vxlan id 101 local ${local.vtep} dstport ${local.vtepPort} nolearning proxy l2miss l3miss`,
      `link set ${tunnel} master floor`,
      `link set ${tunnel} up`,
      "link set floor up",
    ],
    namespace,
  );
  return { namespace, tunnel, ifindex: await new Namespace(namespace).ifindexOf(tunnel) };
}

/** @param perSend messages */
export function nativeWriter(program: NativeProgram, { namespace, ifindex }: Floor, perSend: number): Writer {
  const act = async (first: number, vms: number, verb: "put" | "delete"): Promise<Cost> => {
    const args = [ifindex, first, vms, verb, perSend].map(String);
    const text = await new Namespace(namespace).exec([program.path, ...args]);
    const [cpu = Number.NaN, wall = Number.NaN] = text.trim().split(" ").map(Number);
    return { cpu, wall };
  };
  return {
    write: (first, vms) => act(first, vms, "put"),
    remove: (first, vms) => act(first, vms, "delete"),
  };
}

/** A process for each entry, and none for entering the namespace. */
export function execWriter({ namespace, tunnel }: Floor): Writer {
  return {
    write: async (first, vms) => {
      const commands = places(first, vms).flatMap(({ mac, ip, vtep }) => [
        `bridge fdb replace ${mac} dev ${tunnel} self permanent extern_learn dst ${vtep} port ${local.vtepPort}`,
        `bridge fdb replace ${mac} dev ${tunnel} master extern_learn`,
        `ip neigh replace ${ip} lladdr ${mac} dev ${tunnel} nud permanent`,
      ]);
      return timed(namespace, commands);
    },
    remove: async (first, vms) => {
      await ipBatch(
        places(first, vms).map(({ ip }) => `neigh del ${ip} dev ${tunnel}`),
        namespace,
      );
      const entries = places(first, vms).flatMap(({ mac }) => [
        `fdb del ${mac} dev ${tunnel} self`,
        `fdb del ${mac} dev ${tunnel} master`,
      ]);
      await run(["bridge", "-n", namespace, "-batch", "-"], { input: `${entries.join("\n")}\n` });
    },
  };
}

function places(first: number, vms: number): ReturnType<typeof placeOf>[] {
  return Array.from({ length: vms }, (_, i) => placeOf(first + i));
}

/** bash's own `time` counts its children: user, system and elapsed seconds. */
async function timed(namespace: string, commands: readonly string[]): Promise<Cost> {
  const script = `TIMEFORMAT='%3U %3S %3R'; time { set -e; ${commands.join("; ")}; }`;
  const text = await new Namespace(namespace).exec(["bash", "-c", `{ ${script}; } 2>&1`]);
  const [user, system, wall] = text.trim().split(" ").map(Number);
  if (user === undefined || system === undefined || wall === undefined) throw new Error(`no times: ${text}`);
  return { cpu: user + system, wall };
}
