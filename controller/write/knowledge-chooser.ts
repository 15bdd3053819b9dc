// Chooses what hosts have in memory of the networks with `knowledge: auto`, and again when their size, hosts or changes have become others.
// inventory/knowledge-choice.ts decides; a choice is a change of the network, which every reader and host sees.
import type { Logger } from "pino";
import { every, type Repetition } from "../../common/every.ts";
import { type HostKnowledgeMode, hostKnowledgeModes } from "../../schema/plain/index.ts";
import type { Network, Vm } from "../../schema/rest/index.ts";
import { placesIn } from "../inventory/changes.ts";
import { chooseKnowledge } from "../inventory/knowledge-choice.ts";
import { Refusal } from "../inventory/refusal.ts";
import type { Commit } from "../store/store.ts";
import type { Committer } from "./committer.ts";
import { CommitterStoppedError, isLarge } from "./orders.ts";

/** Between two looks, ms. */
const defaultEveryMs = 60_000;
/** The weight of the last minute in the rate of changes: four fifths of it are those of the last seven minutes. */
const weight = 0.2;
const by = { name: "controller", role: "admin", scope: "all" } as const;

export interface KnowledgeChooserDeps {
  readonly committer: Committer;
  readonly log: Pick<Logger, "info" | "warn">;
  /** Default 60,000. */
  readonly everyMs?: number;
}

export class KnowledgeChooser {
  private readonly repetition: Repetition;
  private readonly unsubscribe: () => void;
  /** Networks with `auto`, each with its changes since the last look, and a minute's on average before that. */
  private readonly counts = new Map<string, { changes: number; perMinute: number }>();

  constructor(private readonly deps: KnowledgeChooserDeps) {
    const { committer, everyMs = defaultEveryMs } = deps;
    for (const network of committer.current.listNetworks()) this.follow(network);
    this.unsubscribe = committer.subscribe((commit) => this.onCommit(commit));
    this.repetition = every(everyMs, () => this.look());
  }

  async stop(): Promise<void> {
    this.unsubscribe();
    this.repetition.stop();
    await this.repetition.idle;
  }

  /** Networks with `auto`, by what was chosen. */
  count(): Readonly<Record<HostKnowledgeMode, number>> {
    const counts = { "on-demand": 0, replicate: 0, prefetch: 0 };
    for (const name of this.counts.keys()) {
      const chosen = this.deps.committer.current.findNetwork(name)?.knowledgeChosen;
      counts[chosen?.mode ?? hostKnowledgeModes[0]] += 1;
    }
    return counts;
  }

  private onCommit(commit: Commit): void {
    for (const change of placesIn(commit.changes)) {
      if (change.kind !== "network") continue;
      const { before, after } = change;
      if (after) this.follow(after);
      else if (before) this.counts.delete(before.name);
      if (after?.knowledge === "auto" && after.knowledgeChosen?.addresses === undefined)
        setImmediate(() => void this.choose(after.name));
    }
    // An import shows in the size of its networks.
    if (this.counts.size === 0 || isLarge(commit)) return;
    for (const change of commit.changes) if (change.kind === "vm") this.countChange(change.before, change.after);
  }

  private follow({ name, knowledge }: Network): void {
    if (knowledge !== "auto") this.counts.delete(name);
    else if (!this.counts.has(name)) this.counts.set(name, { changes: 0, perMinute: 0 });
  }

  private countChange(before: Vm | null, after: Vm | null): void {
    for (const { network, ips } of [...(before?.interfaces ?? []), ...(before ? [] : (after?.interfaces ?? []))]) {
      const count = this.counts.get(network);
      if (count) count.changes += 1 + ips.length;
    }
  }

  private async look(): Promise<void> {
    for (const [name, count] of [...this.counts]) {
      count.perMinute += weight * (count.changes - count.perMinute);
      count.changes = 0;
      await this.choose(name);
    }
  }

  private async choose(name: string): Promise<void> {
    const { committer, log } = this.deps;
    const { current } = committer;
    const network = current.findNetwork(name);
    if (network?.knowledge !== "auto") return;
    const load = {
      addresses: current.addressesIn(name).size,
      hosts: current.hostsIn(name).size,
      changesPerMinute: Math.round(this.counts.get(name)?.perMinute ?? 0),
    };
    const present = network.knowledgeChosen;
    const choice = chooseKnowledge(present?.mode, load);
    if (present?.mode === choice.mode && present.addresses !== undefined) return;
    try {
      await committer.mutate(by, { kind: "network.choose", name, choice });
      log.info({ network: name, ...choice, before: present?.mode }, "knowledge chosen");
    } catch (error) {
      const isOver = error instanceof CommitterStoppedError || error instanceof Refusal;
      // Deleted since, or the disk refuses: the next look tries again.
      if (!isOver) log.warn({ network: name, err: error }, "the knowledge of a network could not be changed");
    }
  }
}
