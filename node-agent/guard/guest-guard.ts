// Keeps guests to the addresses that are registered for them: loads the rules, reads them back, has a probe prove them, and
// puts them back when somebody takes them away. What cannot be loaded leaves the rules that were; the agent says so, and
// acknowledges no revision meanwhile.
import { existsSync } from "node:fs";
import type { Logger } from "pino";
import type { Vni } from "../../schema/index.ts";
import { watchRuleset } from "../kernel/ruleset-watch.ts";
import type { Reporter } from "../reporter.ts";
import type { HeldAnswers } from "../tables/held.ts";
import { CommandError, runCommand } from "./commands.ts";
import { probeRules } from "./probe.ts";
import { type ReadTable, readTable } from "./readback.ts";
import {
  dropReasons,
  elementsScript,
  type GuardedPorts,
  guardedPorts,
  samePorts,
  tableName,
  tableScript,
} from "./rules.ts";

/** Between two looks at what was dropped, and at the rules. */
const everyMs = 2_000;
/** After the kernel has said that rules changed: our own changes come by as well. */
const soonMs = 20;

export interface GuestGuardDependencies {
  readonly held: Pick<HeldAnswers, "locals">;
  /** Networks of this host. */
  vnis(): readonly Vni[];
  readonly reporter: Pick<Reporter, "note">;
  readonly log: Logger;
}

export class GuestGuard {
  /** What an operator should mend. */
  problems: readonly string[] = [];
  private loaded: GuardedPorts | undefined;
  private fingerprint: string | undefined;
  private seen: Pick<ReadTable, "dropped" | "offenders"> = { dropped: new Map(), offenders: new Map() };
  private work: Promise<void> = Promise.resolve();
  private soon: NodeJS.Timeout | undefined;
  private readonly timer: NodeJS.Timeout;
  private readonly unwatch: () => void;

  /** Opens its socket in the calling thread's network namespace. */
  constructor(private readonly deps: GuestGuardDependencies) {
    this.unwatch = watchRuleset(() => this.lookSoon());
    this.timer = setInterval(() => void this.inTurn(() => this.check()), everyMs).unref();
  }

  /** The kernel is known to enforce what is registered. */
  get settled(): boolean {
    return this.problems.length === 0 && this.loaded !== undefined;
  }

  /** Brings the rules in line with what is registered. */
  settle(): Promise<void> {
    return this.inTurn(() => this.load());
  }

  /** The rules stay: the data path does not need the agent. */
  close(): void {
    this.unwatch();
    clearInterval(this.timer);
    clearTimeout(this.soon);
  }

  private lookSoon(): void {
    this.soon ??= setTimeout(() => {
      this.soon = undefined;
      void this.inTurn(() => this.check());
    }, soonMs).unref();
  }

  /** One after the other; what nft refuses is a problem and no end. */
  private inTurn(work: () => Promise<void>): Promise<void> {
    this.work = this.work.then(work).catch((error: unknown) => {
      if (!(error instanceof CommandError) && !(error instanceof SyntaxError)) throw error;
      this.fail(error.message);
    });
    return this.work;
  }

  private async load(): Promise<void> {
    if (this.loaded === undefined) return this.begin();
    const wanted = this.wanted(this.loaded.keys());
    if (this.settled && samePorts(wanted, this.loaded)) return;
    await this.fill(wanted);
    this.problems = [];
  }

  /** Ports that an earlier run guarded stay guarded: their guests may still be there. */
  private async begin(): Promise<void> {
    const before = await this.read();
    const wanted = this.wanted(before?.guarded ?? []);
    await runCommand("nft", ["-f", "-"], tableScript() + elementsScript(wanted).script);
    const wrong = await probeRules(wanted);
    if (wrong !== undefined) return this.fail(`the rules do not hold: ${wrong}`);
    await this.fill(wanted);
    this.problems = [];
    this.deps.log.info({ ports: wanted.size }, "guests are kept to their addresses");
  }

  private async fill(wanted: GuardedPorts): Promise<void> {
    const { script, sizes } = elementsScript(wanted);
    await runCommand("nft", ["-f", "-"], script);
    const table = await this.read();
    const missing = [...sizes].find(([set, size]) => table?.sizes.get(set) !== size);
    if (!table || missing)
      throw new CommandError(`the kernel does not show what was loaded${missing ? ` into ${missing[0]}` : ""}`);
    this.loaded = wanted;
    this.fingerprint = table.fingerprint;
    this.seen = table;
  }

  /** Whether the rules are still there, and what they have dropped. */
  private async check(): Promise<void> {
    if (this.loaded === undefined) return;
    const table = await this.read();
    if (table?.fingerprint === this.fingerprint && table !== undefined) return this.count(table);
    this.deps.reporter.note({ kind: "drift-repaired", subject: "anti-spoof rules", count: 1 });
    this.deps.log.warn("somebody changed the rules that keep guests to their addresses: loading them again");
    this.loaded = undefined;
    await this.begin();
  }

  private count(table: ReadTable): void {
    const reasons = dropReasons.filter(
      (reason) => (table.dropped.get(reason) ?? 0) > (this.seen.dropped.get(reason) ?? 0),
    );
    for (const [port, total] of table.offenders) {
      const count = total - (this.seen.offenders.get(port) ?? 0);
      if (count <= 0) continue;
      const detail = `${count} frames: ${reasons.join(", ")}`;
      const vni = this.networkOf(port);
      if (
        this.deps.reporter.note({
          kind: "spoofed",
          ...(vni === undefined ? {} : { vni }),
          subject: port,
          count,
          detail,
        })
      ) {
        this.deps.log.warn({ port, vni, count, reasons }, "a guest sent what is not registered for it: dropped");
      }
    }
    this.seen = table;
  }

  /** What is registered; and ports that had rules and are still there pass nothing, since nobody is registered for them. */
  private wanted(before: Iterable<string>): GuardedPorts {
    const { held, vnis } = this.deps;
    const ports = new Map(guardedPorts(vnis().flatMap((vni) => held.locals(vni))));
    for (const port of before) {
      if (!ports.has(port) && existsSync(`/sys/class/net/${port}/brport`)) ports.set(port, new Map());
    }
    return ports;
  }

  private networkOf(port: string): Vni | undefined {
    const { held, vnis } = this.deps;
    return vnis().find((vni) => held.locals(vni).some((guest) => guest.port === port));
  }

  private async read(): Promise<ReadTable | undefined> {
    const tables = await runCommand("nft", ["-j", "list", "tables", "bridge"]);
    if (!tables.includes(`"name": "${tableName}"`)) return undefined;
    return readTable(await runCommand("nft", ["-j", "list", "table", "bridge", tableName]));
  }

  private fail(reason: string): void {
    const problem = `guests are not kept to their addresses as --anti-spoof wants: ${reason}`;
    if (!this.problems.includes(problem)) this.deps.log.error({ reason }, "anti-spoof rules not in place");
    this.problems = [problem];
  }
}

/** Without the guard: what an earlier run with it has left goes. @throws CommandError where nft is there and refuses */
export async function removeGuard(): Promise<void> {
  const tables = await runCommand("nft", ["-j", "list", "tables", "bridge"]).catch(() => "");
  if (tables.includes(`"name": "${tableName}"`)) {
    await runCommand("nft", ["delete", "table", "bridge", tableName]);
  }
}
