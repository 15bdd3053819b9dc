// Conditions of the controller itself: its certificates, its backups, and its disk, as its commits show it. A full disk is looked at again by itself, since there may be
// no commit for a while.
import { statfs } from "node:fs/promises";
import type { FastifyBaseLogger } from "fastify";
import { every, type Repetition } from "../../common/every.ts";
import { type ConditionFacts, type ControllerConditionKind, conditionText } from "../../schema/agent/index.ts";

const everyMs = 2_000;
/** Enough for commits to go on. */
const roomBytes = 4 * 1024 * 1024;
/** A commit that takes longer is slow: most take milliseconds, and clients give up after some seconds. */
export const slowSeconds = 1;
/** One slow commit may be chance. */
const slowInARow = 3;
/** How often the time of the last backup is read. */
const backupEveryMs = 30_000;
/** Without commits nothing is known of the disk. */
const slowForMs = 300_000;

type OwnKind = Extract<ControllerConditionKind, "storage-full" | "storage-slow" | "certificate-ending" | "backup-old">;

export interface OwnCondition {
  readonly facts: ConditionFacts<OwnKind>;
  readonly since: Date;
}

export interface EndingCertificate {
  readonly of: "controller" | "ca";
  readonly expiresMs: number;
}

export interface ExpectedBackups {
  /** Of the last one there is, ms. */
  readonly withinMs: number;
  last(): Date | undefined;
}

export interface OwnConditionsDeps {
  /** On the disk of the database; absent: a full disk counts until a commit succeeds. */
  readonly directory: string | undefined;
  /** Of the controller's certificates, the one that ends first and should have been renewed; absent: plain HTTP. */
  readonly ending?: () => EndingCertificate | undefined;
  /** Absent: backups are not expected. */
  readonly backups?: ExpectedBackups;
  readonly log: Pick<FastifyBaseLogger, "warn" | "info">;
  readonly now: () => Date;
  /** Monotonic. */
  readonly nowMs: () => number;
}

export class OwnConditions {
  private readonly present = new Map<OwnKind, OwnCondition>();
  private readonly timer: Repetition;
  private slow = 0;
  private lastSlowMs = 0;
  private readBackupMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly deps: OwnConditionsDeps) {
    this.timer = every(everyMs, () => this.look());
  }

  list(): OwnCondition[] {
    return [...this.present.values()];
  }

  /** The disk had no room for a commit. */
  refused(): void {
    this.begin("storage-full", "full", {});
  }

  committed(seconds: number): void {
    this.end("storage-full");
    this.slow = seconds >= slowSeconds ? this.slow + 1 : 0;
    if (this.slow === 0) this.end("storage-slow");
    else this.lastSlowMs = this.deps.nowMs();
    if (this.slow >= slowInARow) this.begin("storage-slow", "slow", { commits: String(slowInARow) });
  }

  stop(): void {
    this.timer.stop();
  }

  /** A certificate that was made or read again. */
  private lookAtCertificates(): void {
    const ending = this.deps.ending?.();
    const known = this.present.get("certificate-ending")?.facts;
    const until = ending && new Date(ending.expiresMs).toISOString();
    if (known && (known.reason !== ending?.of || known.values.until !== until)) this.end("certificate-ending");
    if (ending && until !== undefined) this.begin("certificate-ending", ending.of, { until });
  }

  private lookAtBackups(): void {
    const { backups, now, nowMs } = this.deps;
    if (!backups || nowMs() - this.readBackupMs < backupEveryMs) return;
    this.readBackupMs = nowMs();
    const last = backups.last();
    const reason = last ? "old" : "never";
    const isOld = !last || now().getTime() - last.getTime() > backups.withinMs;
    const known = this.present.get("backup-old")?.facts;
    if (known && (!isOld || known.reason !== reason)) this.end("backup-old");
    if (isOld) this.begin("backup-old", reason, last ? { last: last.toISOString() } : {});
  }

  private async look(): Promise<void> {
    this.lookAtCertificates();
    this.lookAtBackups();
    if (this.present.has("storage-slow") && this.deps.nowMs() - this.lastSlowMs >= slowForMs) this.end("storage-slow");
    const { directory } = this.deps;
    if (directory === undefined || !this.present.has("storage-full")) return;
    const { bavail, bsize } = await statfs(directory).catch(() => ({ bavail: 0, bsize: 0 }));
    if (bavail * bsize >= roomBytes) this.end("storage-full");
  }

  private begin(kind: OwnKind, reason: string, values: ConditionFacts["values"]): void {
    if (this.present.has(kind)) return;
    const facts = { kind, reason, values };
    const since = this.deps.now();
    this.present.set(kind, { facts, since });
    this.deps.log.warn({ condition: kind, ...conditionText(facts), since }, "condition began");
  }

  private end(kind: OwnKind): void {
    const known = this.present.get(kind);
    if (!known) return;
    this.present.delete(kind);
    this.deps.log.info({ condition: kind, since: known.since }, "condition ended");
  }
}
