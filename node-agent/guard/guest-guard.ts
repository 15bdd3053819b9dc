// Keeps guests to the addresses that are registered for them: loads the rules, reads them back, has a probe prove them, and
// puts them back when somebody takes them away. What cannot be loaded leaves the rules that were; the agent says so, and
// acknowledges no revision meanwhile.
import { existsSync } from "node:fs";
import type { Logger } from "pino";
import type { Vni } from "../../schema/index.ts";
import type { Reporter } from "../reporter.ts";
import type { HeldAnswers } from "../tables/held.ts";
import { Keeper } from "./keeper.ts";
import { probeRules } from "./probe.ts";
import type { ReadTable } from "./readback.ts";
import { RuleError, RuleTable } from "./rule-table.ts";
import { dropReasons, elementsScript, type GuardedPorts, guardedPorts, samePorts, tableScript } from "./rules.ts";

export interface GuestGuardDependencies {
  readonly held: Pick<HeldAnswers, "locals">;
  /** Networks of this host. */
  vnis(): readonly Vni[];
  readonly reporter: Pick<Reporter, "note">;
  readonly log: Logger;
}

export class GuestGuard {
  private readonly table = new RuleTable("bridge", tableScript());
  private readonly keeper: Keeper;
  private loaded: GuardedPorts | undefined;
  private seen: Pick<ReadTable, "dropped" | "offenders"> = { dropped: new Map(), offenders: new Map() };

  /** Opens its socket in the calling thread's network namespace. */
  constructor(private readonly deps: GuestGuardDependencies) {
    this.keeper = new Keeper({ flag: "--anti-spoof", check: () => this.check(), log: deps.log });
  }

  /** What an operator should mend. */
  get problems(): readonly string[] {
    return this.keeper.problems;
  }

  /** The kernel is known to enforce what is registered. */
  get settled(): boolean {
    return this.problems.length === 0 && this.loaded !== undefined;
  }

  /** Brings the rules in line with what is registered. */
  settle(): Promise<void> {
    return this.keeper.inTurn(() => this.load());
  }

  close(): void {
    this.keeper.close();
  }

  private async load(): Promise<void> {
    if (this.loaded === undefined) return this.begin();
    const wanted = this.wanted(this.loaded.keys());
    if (this.settled && samePorts(wanted, this.loaded)) return;
    await this.fill(wanted);
  }

  /** Ports that an earlier run guarded stay guarded: their guests may still be there. */
  private async begin(): Promise<void> {
    const before = await this.table.read();
    const wanted = this.wanted(before?.guarded ?? []);
    await this.table.create(elementsScript(wanted));
    const wrong = await probeRules(wanted);
    if (wrong !== undefined) throw new RuleError(`they do not hold: ${wrong}`);
    await this.fill(wanted);
    this.deps.log.info({ ports: wanted.size }, "guests are kept to their addresses");
  }

  private async fill(wanted: GuardedPorts): Promise<void> {
    this.seen = await this.table.fill(elementsScript(wanted));
    this.loaded = wanted;
    this.keeper.succeed();
  }

  private async check(): Promise<void> {
    if (this.loaded === undefined) return;
    const table = await this.table.look();
    if (table) return this.count(table);
    this.deps.reporter.note({ kind: "drift-repaired", subject: "anti-spoof rules", count: 1 });
    this.deps.log.warn("somebody changed the rules that keep guests to their addresses: loading them again");
    this.loaded = undefined;
    await this.begin();
  }

  private count(table: ReadTable): void {
    const dropped = (at: Pick<ReadTable, "dropped">, reason: string): number => at.dropped.get(reason) ?? 0;
    const reasons = dropReasons.filter((reason) => dropped(table, reason) > dropped(this.seen, reason));
    for (const [port, total] of table.offenders) {
      const count = total - (this.seen.offenders.get(port) ?? 0);
      if (count <= 0) continue;
      const vni = this.networkOf(port);
      const concerned = vni === undefined ? {} : { vni };
      const detail = `${count} frames: ${reasons.join(", ")}`;
      if (this.deps.reporter.note({ kind: "spoofed", ...concerned, subject: port, count, detail })) {
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
}
