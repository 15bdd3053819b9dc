// Anti-spoofing: restricts guests to their registered addresses. Loads the rules, reads them back, proves them with a probe,
// and restores them when another program removes them. If new rules cannot be loaded the previous ones stay; the agent
// reports the problem, and acknowledges no revision until they are loaded.
import type { Logger } from "pino";
import { defined } from "../../common/defined.ts";
import type { Vni } from "../../schema/address/index.ts";
import type { HostCondition } from "../findings/condition.ts";
import type { Reporter } from "../findings/reporter.ts";
import type { ClaimedPort, PortRegister } from "../networks/port-register.ts";
import { Keeper } from "./keeper.ts";
import { probeRules } from "./probe.ts";
import type { ReadTable } from "./readback.ts";
import { RuleError, RuleTable } from "./rule-table.ts";
import { dropReasons, elementsScript, type GuardedPorts, guardedPorts, samePorts, tableScript } from "./rules.ts";

export interface GuestGuardDependencies {
  readonly register: Pick<PortRegister, "list" | "isAt">;
  readonly reporter: Pick<Reporter, "note">;
  readonly log: Logger;
}

export class GuestGuard {
  private readonly table = new RuleTable("bridge", tableScript());
  private readonly keeper: Keeper;
  private loaded: GuardedPorts | undefined;
  /** The network of each guarded port. */
  private networks: ReadonlyMap<string, Vni | undefined> = new Map();
  private seen: Pick<ReadTable, "dropped" | "offenders"> = { dropped: new Map(), offenders: new Map() };

  /** Opens its socket in the calling thread's network namespace. */
  constructor(private readonly deps: GuestGuardDependencies) {
    this.keeper = new Keeper({ flag: "--anti-spoof", check: () => this.check(), log: deps.log });
  }

  /** Problems that an operator should fix. */
  get conditions(): readonly HostCondition[] {
    return this.keeper.conditions;
  }

  /** The kernel enforces the registered addresses. */
  get settled(): boolean {
    return this.conditions.length === 0 && this.loaded !== undefined;
  }

  /** Applies the registered addresses to the rules. */
  settle(): Promise<void> {
    return this.keeper.inTurn(() => this.load());
  }

  close(): void {
    this.keeper.close();
  }

  private async load(): Promise<void> {
    if (this.loaded === undefined) return this.begin();
    const wanted = this.wanted(this.networks);
    if (this.settled && samePorts(wanted, this.loaded)) return;
    await this.fill(wanted);
  }

  /** Ports that an earlier run guarded stay guarded: their guests may still be there. */
  private async begin(): Promise<void> {
    const before = await this.table.read();
    const wanted = this.wanted(before?.guarded ?? new Map());
    await this.table.create(elementsScript(wanted, this.networkOf));
    const wrong = await probeRules(wanted);
    if (wrong !== undefined) throw new RuleError(`they are not effective: ${wrong}`);
    await this.fill(wanted);
    this.deps.log.info({ ports: wanted.size }, "anti-spoof rules loaded");
  }

  private async fill(wanted: GuardedPorts): Promise<void> {
    this.seen = await this.table.fill(elementsScript(wanted, this.networkOf));
    this.loaded = wanted;
    this.keeper.succeed();
  }

  private async check(): Promise<void> {
    if (this.loaded === undefined) return;
    const table = await this.table.look();
    if (table) return this.count(table);
    this.deps.reporter.note({ kind: "drift-repaired", subject: "anti-spoof rules", count: 1 });
    this.deps.log.warn("another program changed the anti-spoof rules: loading them again");
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
      const concerned = defined({ vni });
      const detail = `${count} frames: ${reasons.join(", ")}`;
      if (this.deps.reporter.note({ kind: "spoofed", ...concerned, subject: port, count, detail })) {
        this.deps.log.warn(
          { port, vni, count, reasons },
          "dropped frames of a guest with addresses that are not registered for it",
        );
      }
    }
    this.seen = table;
  }

  /**
   * Registered addresses, at the ports that are or may become the interface's own. A port that had rules, and is still in the
   * bridge of the same network, passes nothing: no interface is registered for it.
   * @param before the ports that have rules, with the network of each
   */
  private wanted(before: ReadonlyMap<string, Vni | undefined>): GuardedPorts {
    const { register } = this.deps;
    const claimed = register.list();
    const own = claimed.filter(({ verdict, disputed }) => verdict === "here" || (verdict === "free" && !disputed));
    const ports = new Map(guardedPorts(own.map(({ guest }) => guest)));
    const networks = new Map<string, Vni | undefined>(own.map(({ port, vni }) => [port, vni]));
    for (const { port, vni } of closed(claimed, before)) {
      if (ports.has(port) || (vni !== undefined && !register.isAt(port, vni))) continue;
      ports.set(port, new Map());
      networks.set(port, vni);
    }
    this.networks = networks;
    return ports;
  }

  private readonly networkOf = (port: string): Vni | undefined => this.networks.get(port);
}

/**
 * Ports that pass nothing: those that two networks claim and that are in no bridge yet, and those that had rules. A port is
 * released if an earlier agent did not record its network: it may belong to another tenant by now.
 */
function closed(
  claimed: readonly ClaimedPort[],
  before: ReadonlyMap<string, Vni | undefined>,
): { readonly port: string; readonly vni: Vni | undefined }[] {
  const awaited = claimed.filter(({ verdict, disputed }) => verdict === "free" && disputed);
  const known = [...before].filter(([, vni]) => vni !== undefined).map(([port, vni]) => ({ port, vni }));
  return [...awaited.map(({ port }) => ({ port, vni: undefined })), ...known];
}
