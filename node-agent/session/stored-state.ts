// Keeps what this host knows in its state directory, for a start without a controller: what has changed is written a second later, by
// Node's threads. stored-host.ts and stored-network.ts have the records, recall.ts reads them.
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { prepareDirectory, RecordFile, removeDirectory } from "../../common/record-file.ts";
import { SerialQueue } from "../../common/serial-queue.ts";
import { type BindingKey, keyText, parseVni, type Revision, type Vni } from "../../schema/address/index.ts";
import type { Uplink } from "../controller-link/uplink.ts";
import type { HostCondition } from "../findings/condition.ts";
import type { RegisteredNetworks } from "../networks/registered-networks.ts";
import type { HeldAnswers } from "../tables/held.ts";
import type { HostTables } from "../tables/host-tables.ts";
import type { ReplicaListener, Replicas } from "../tables/replicas.ts";
import type { AppliedPosition } from "./applied-position.ts";
import { notStored } from "./memory-problems.ts";
import { hostPayloads, seenPayload } from "./stored-host.ts";
import { changedKeys, StoredStateError, storedFormat, wholeNetwork } from "./stored-network.ts";

/** Between a change and its writing, ms: after a loss of power, changes of that time and of the writing are not there. */
const delayMs = 1_000;
/** Between two attempts where the disk refuses, ms. */
const retryMs = 60_000;
/** How exactly is known when this host last had a session, ms. */
const seenEveryMs = 60_000;
/** Of a network's file, while it is replaced: a million addresses take two seconds. */
const maxBytesPerSecond = 16 * 2 ** 20;
/** Changed keys of a network in one second that are appended; with more, the file is replaced. */
const maxChangedKeys = 4_096;
/** Appended to a small file before it is replaced. */
const minAppendedBytes = 2 ** 18;

export interface StoredStateOptions {
  /** Of this host's files; made if it is missing. */
  readonly directory: string;
}

export interface StoredStateDependencies extends StoredStateOptions {
  readonly host: string;
  readonly held: HeldAnswers;
  readonly registered: RegisteredNetworks;
  readonly replicas: Replicas;
  readonly progress: Pick<AppliedPosition, "epoch" | "asOf">;
  readonly hostTables: Pick<HostTables, "all">;
  readonly uplink: Pick<Uplink, "isLive">;
  readonly log: Logger;
  /** ms since 1970. */
  wallMs(): number;
  later(ms: number, callback: () => void): void;
}

interface NetworkState {
  readonly file: RecordFile;
  /** By text, what has changed since it was last written; undefined: everything. */
  changed: Map<string, BindingKey> | undefined;
}

export const hostFileName = "host";
export const networkFileName = (vni: Vni): string => `network-${vni}`;

export class StoredState implements ReplicaListener {
  readonly directory: string;
  private readonly hostFile: RecordFile;
  private readonly networks = new Map<Vni, NetworkState>();
  private isHostChanged = false;
  /** When this host last had a session, ms since 1970; and that time in the file. */
  private seenMs = 0;
  private seenWrittenMs = 0;
  /** Nothing is written before a session has confirmed or replaced what was stored, nor after this host was revoked. */
  private isCurrent = false;
  private isScheduled = false;
  private failure: HostCondition | undefined;
  /** Files that an earlier run left and that could not be used. */
  private unusable: readonly HostCondition[] = [];
  private readonly work = new SerialQueue();

  constructor(private readonly deps: StoredStateDependencies) {
    this.directory = deps.directory;
    this.hostFile = new RecordFile(join(deps.directory, hostFileName), maxBytesPerSecond);
    deps.replicas.listen(this);
  }

  /** What an operator should fix. */
  get conditions(): readonly HostCondition[] {
    const { failure, unusable } = this;
    return failure === undefined ? unusable : [...unusable, failure];
  }

  /** Resolves when the writing that has begun is done. */
  get settled(): Promise<unknown> {
    return this.work.idle;
  }

  /** Of files that were not used; true until they are replaced. */
  noteUnusable(found: readonly HostCondition[]): void {
    this.unusable = found;
  }

  /** The session has its snapshot: what is in memory now supersedes what was stored. */
  begin(): void {
    if (!this.isCurrent) {
      this.isCurrent = true;
      this.seenMs = this.deps.wallMs();
      for (const vni of this.deps.registered.vnis()) this.onReplaced(vni);
      this.deps.later(seenEveryMs, () => this.noteSeen());
    }
    this.hostChanged();
  }

  /** Networks, this host's own VMs, other hosts of its networks or the tunnel end have changed. */
  hostChanged(): void {
    this.isHostChanged = true;
    this.schedule(delayMs);
  }

  onReplaced(vni: Vni): void {
    this.stateOf(vni).changed = undefined;
    this.schedule(delayMs);
  }

  onChanged(vni: Vni, keys: readonly BindingKey[]): void {
    const state = this.stateOf(vni);
    for (const key of keys) state.changed?.set(keyText(key), key);
    if ((state.changed?.size ?? 0) > maxChangedKeys) state.changed = undefined;
    this.schedule(delayMs);
  }

  /** This host was revoked: nothing of it stays on disk, and nothing is written until another session. */
  async erase(): Promise<void> {
    this.isCurrent = false;
    await this.work.run(async () => {
      try {
        if (await removeDirectory(this.directory))
          this.deps.log.warn("this host was revoked: its stored networks are removed");
      } catch (error) {
        this.deps.log.error({ directory: this.directory, reason: reasonOf(error) }, "stored networks not removed");
      }
    });
  }

  /** What is not written yet is written. */
  async close(): Promise<void> {
    await this.work.run(() => this.write());
    this.isCurrent = false;
  }

  private stateOf(vni: Vni): NetworkState {
    const known = this.networks.get(vni);
    if (known) return known;
    const file = new RecordFile(join(this.directory, networkFileName(vni)), maxBytesPerSecond);
    const state: NetworkState = { file, changed: undefined };
    this.networks.set(vni, state);
    return state;
  }

  private noteSeen(): void {
    if (!this.isCurrent) return;
    this.deps.later(seenEveryMs, () => this.noteSeen());
    if (this.deps.uplink.isLive) this.schedule(0);
  }

  private schedule(ms: number): void {
    if (!this.isCurrent || this.isScheduled) return;
    this.isScheduled = true;
    this.deps.later(ms, () => {
      this.isScheduled = false;
      // A change during the last attempt has asked for an early one.
      if (this.failure !== undefined && ms < retryMs) return this.schedule(retryMs);
      void this.work.run(() => this.write());
    });
  }

  private async write(): Promise<void> {
    if (!this.isCurrent) return;
    const { uplink, wallMs, log } = this.deps;
    if (uplink.isLive) this.seenMs = wallMs();
    const failures: unknown[] = [];
    const attempt = async (act: () => Promise<void>): Promise<void> => {
      try {
        await act();
      } catch (error) {
        failures.push(error);
      }
    };
    await attempt(async () => {
      await prepareDirectory(this.directory);
      await this.writeHost();
      for (const [vni, state] of [...this.networks]) await attempt(() => this.writeNetwork(vni, state));
      await this.removeOthers();
    });
    const failed = failures.find((error) => !(error instanceof StoredStateError));
    if (failed !== undefined) this.fail(reasonOf(failed));
    else {
      if (this.failure !== undefined) log.info({ directory: this.directory }, "this host's networks are stored again");
      this.failure = undefined;
      // Written when the network's table is there again.
      if (failures.length > 0) this.schedule(delayMs);
    }
  }

  private fail(reason: string): void {
    const { log } = this.deps;
    if (this.failure === undefined)
      log.error({ directory: this.directory, reason }, "this host's networks are not stored");
    this.failure = notStored(this.directory, reason);
    this.schedule(retryMs);
  }

  /** @throws errors of the file system */
  private async writeHost(): Promise<void> {
    const { host, registered, held, progress, hostTables } = this.deps;
    const { registeredEnd } = registered;
    const { epoch, asOf } = progress;
    if (epoch === undefined || asOf === undefined || !registeredEnd) return;
    const seen = { asOf, atMs: this.seenMs };
    if (this.isHostChanged || !this.hostFile.canAppend(minAppendedBytes)) {
      this.isHostChanged = false;
      const others = hostTables.all();
      try {
        await this.hostFile.replace(hostPayloads({ host, epoch, registeredEnd, registered, held, others }, seen));
      } catch (error) {
        this.isHostChanged = true;
        throw error;
      }
      this.unusable = [];
    } else if (seen.atMs - this.seenWrittenMs >= seenEveryMs) await this.hostFile.append([seenPayload(seen)]);
    else return;
    this.seenWrittenMs = seen.atMs;
  }

  private async writeNetwork(vni: Vni, state: NetworkState): Promise<void> {
    const { host, replicas, progress } = this.deps;
    const { epoch, asOf } = progress;
    const table = replicas.tableOf(vni);
    if (!table) {
      this.networks.delete(vni);
      return state.file.remove();
    }
    // While a base is received, the position of what is there is not known.
    if (epoch === undefined || asOf === undefined || !replicas.isComplete(vni)) return;
    const { changed } = state;
    if (changed?.size === 0) return;
    state.changed = new Map();
    try {
      if (changed && state.file.canAppend(minAppendedBytes))
        await state.file.append(changedKeys(table, [...changed.values()], asOf));
      else await this.replaceNetwork({ format: storedFormat, epoch, host, vni }, table, asOf, state, vni);
    } catch (error) {
      state.changed = undefined;
      throw error;
    }
  }

  private replaceNetwork(
    head: { readonly format: number; readonly epoch: string; readonly host: string; readonly vni: number },
    table: NonNullable<ReturnType<Replicas["tableOf"]>>,
    asOf: Revision,
    { file }: NetworkState,
    vni: Vni,
  ): Promise<void> {
    return file.replace(wholeNetwork(head, table, asOf, () => this.deps.replicas.tableOf(vni) === table));
  }

  /** Files of networks that this host has not in memory, from an earlier run. */
  private async removeOthers(): Promise<void> {
    for (const name of await readdir(this.directory)) {
      const digits = /^network-(\d{1,8})(?:\.new)?$/.exec(name)?.[1];
      if (digits === undefined) continue;
      const vni = parseVni(Number(digits));
      if (!this.networks.has(vni)) await new RecordFile(join(this.directory, networkFileName(vni))).remove();
    }
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
