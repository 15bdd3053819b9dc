// A start without a controller: reads what stored-state.ts has written, and brings this host to it. The first session replaces all of it.
import { join } from "node:path";
import type { Logger } from "pino";
import { RecordFileError, readRecords } from "../../common/record-file.ts";
import { type AgentNetwork, type Answer, parseRevision, type Vni } from "../../schema/address/index.ts";
import type { HostCondition } from "../findings/condition.ts";
import type { HostNetworks } from "../networks/host-networks.ts";
import type { RegisteredNetworks } from "../networks/registered-networks.ts";
import type { Entry, TunnelEntry } from "../tables/entry.ts";
import type { HeldAnswers } from "../tables/held.ts";
import type { HostTables } from "../tables/host-tables.ts";
import type { Replicas } from "../tables/replicas.ts";
import type { AppliedPosition } from "./applied-position.ts";
import type { AwaitedGuests } from "./awaited-guests.ts";
import { notUsed } from "./memory-problems.ts";
import type { Replication } from "./replication.ts";
import { type StoredHost, StoredHostReader } from "./stored-host.ts";
import { StoredNetworkReader, StoredStateError } from "./stored-network.ts";
import { hostFileName, networkFileName, type StoredState } from "./stored-state.ts";

export interface RecallDependencies {
  readonly host: string;
  readonly stored: StoredState;
  readonly held: HeldAnswers;
  readonly registered: RegisteredNetworks;
  readonly networks: HostNetworks;
  readonly replicas: Replicas;
  readonly replication: Pick<Replication, "recall">;
  readonly progress: AppliedPosition;
  readonly awaited: AwaitedGuests;
  readonly hostTables: Pick<HostTables, "take">;
  readonly log: Logger;
  nowMs(): number;
  /** ms since 1970. */
  wallMs(): number;
}

/** An agent that starts, before it connects. */
export class Recall {
  private readonly unusable: HostCondition[] = [];

  constructor(private readonly deps: RecallDependencies) {}

  /**
   * @param inherited entries of an earlier run in the kernel, which are at least as new as what is stored: a restart of the agent alone
   *   changes nothing in the kernel
   */
  async run(inherited: readonly Entry[]): Promise<void> {
    const { host, stored, log } = this.deps;
    const reader = new StoredHostReader(host);
    const isRead = await this.read(hostFileName, (payload) => reader.take(payload));
    const found = isRead && this.check(hostFileName, () => reader.end());
    if (found) {
      for (const network of found.snapshot.networks) await this.readNetwork(network, found);
      await this.apply(found, inherited);
      const { networks } = found.snapshot;
      log.info(
        { networks: networks.length, asOf: found.asOf, at: new Date(found.atMs).toISOString() },
        "networks of this host are those that were stored, until there is a session with the controller",
      );
    }
    stored.noteUnusable(this.unusable);
  }

  private async readNetwork({ vni, knowledge }: AgentNetwork, { welcome, atMs }: StoredHost): Promise<void> {
    const { host, replicas, nowMs, wallMs } = this.deps;
    if (knowledge === undefined) return;
    const name = networkFileName(vni);
    const reader = new StoredNetworkReader(replicas.recall(vni), { host, epoch: welcome.epoch, vni });
    const isRead = await this.read(name, (payload) => {
      reader.take(payload);
      if (replicas.bytes > replicas.maxBytes) throw new StoredStateError("it does not fit into --max-replica-memory");
    });
    const position = isRead ? this.check(name, () => reader.end()) : undefined;
    if (position === undefined) replicas.drop(vni);
    else replicas.recalled(vni, position, nowMs() - Math.max(0, wallMs() - atMs));
  }

  /** @returns false: there is nothing, or it cannot be used */
  private async read(name: string, take: (payload: Buffer) => void): Promise<boolean> {
    try {
      const end = await readRecords(join(this.deps.stored.directory, name), take);
      if (end === "torn")
        this.deps.log.warn({ file: name }, "the last records of a stored file are incomplete: they are left out");
      return end !== "absent";
    } catch (error) {
      this.leaveOut(name, error);
      return false;
    }
  }

  private check<T>(name: string, act: () => T): T | undefined {
    try {
      return act();
    } catch (error) {
      this.leaveOut(name, error);
      return undefined;
    }
  }

  /** Whatever is wrong with a file, the host starts without it. */
  private leaveOut(name: string, error: unknown): void {
    const isSystems = error instanceof Error && "code" in error;
    if (
      !isSystems &&
      !(error instanceof StoredStateError) &&
      !(error instanceof RecordFileError) &&
      !(error instanceof RangeError)
    )
      throw error;
    const reason = (error as Error).message;
    const path = join(this.deps.stored.directory, name);
    this.deps.log.error({ file: path, reason }, "a stored file is not used");
    this.unusable.push(notUsed(path, reason));
  }

  private async apply({ welcome, snapshot, hosts }: StoredHost, inherited: readonly Entry[]): Promise<void> {
    const { held, registered, networks, progress, awaited, hostTables, replication, nowMs } = this.deps;
    progress.epoch = welcome.epoch;
    registered.registeredEnd = { vtep: welcome.vtep, vtepPort: welcome.vtepPort };
    const known = new Set(snapshot.networks.map(({ vni }) => vni));
    const entries = inherited.filter(({ vni }) => known.has(vni));
    held.take(answersOf(entries), nowMs(), "asked");
    // What the kernel sends through the tunnel was elsewhere when it was written.
    const isElsewhere = ({ key, binding }: Answer): boolean =>
      binding !== null && held.find({ kind: "mac", vni: key.vni, mac: binding.mac })?.kind === "remote";
    for (const frame of hosts) hostTables.take(frame);
    registered.prepared.replace(snapshot.prepared ?? []);
    const brought = networks.recall(snapshot.networks, welcome.epoch);
    awaited.add(snapshot.answers.filter((answer) => answer.binding?.local && !isElsewhere(answer)));
    await brought;
    replication.recall(snapshot.networks);
  }
}

/** The answers that entries in the kernel came from, as the oldest ones that there can be: everything else supersedes them. */
function answersOf(entries: readonly Entry[]): Answer[] {
  const revision = parseRevision(0);
  const tunnels = new Map<string, TunnelEntry>();
  const keyOf = (vni: Vni, mac: string): string => `${vni} ${mac}`;
  for (const entry of entries) if (entry.kind === "tunnel") tunnels.set(keyOf(entry.vni, entry.mac), entry);
  return entries.flatMap((entry): Answer[] => {
    const tunnel = entry.kind === "bridge" ? undefined : tunnels.get(keyOf(entry.vni, entry.mac));
    if (!tunnel) return [];
    const { vni, mac, vtep, vtepPort, router } = tunnel;
    const key =
      entry.kind === "neighbour" ? { kind: "ip" as const, vni, ip: entry.ip } : { kind: "mac" as const, vni, mac };
    return [{ key, revision, binding: { mac, host: "", vtep, vtepPort, ...(router ? { router } : {}) } }];
  });
}
