// Accepts tunnelled frames only from the VTEPs of hosts in the same network: the controller pushes changes to that set.
import type { Logger } from "pino";
import type { HostCondition } from "../findings/condition.ts";
import type { Reporter } from "../findings/reporter.ts";
import type { PortRegister } from "../networks/port-register.ts";
import type { RegisteredNetworks } from "../networks/registered-networks.ts";
import type { HostTables } from "../tables/host-tables.ts";
import { Keeper } from "./keeper.ts";
import type { ReadTable } from "./readback.ts";
import { RuleTable } from "./rule-table.ts";
import { isPlainName } from "./rules.ts";
import { underlayElements, underlayReasons, underlayScript } from "./senders.ts";

export interface UnderlayGuardDependencies {
  readonly registered: Pick<RegisteredNetworks, "tunnelEnd">;
  readonly register: Pick<PortRegister, "bridges">;
  readonly hostTables: Pick<HostTables, "vteps">;
  readonly reporter: Pick<Reporter, "note">;
  readonly log: Logger;
}

const meanings = {
  sender: "tunnelled frames from an address that is not a VTEP of the network's hosts",
  guest: "tunnelled frames from a guest",
} as const;

export class UnderlayGuard {
  private readonly table = new RuleTable("inet", underlayScript());
  private readonly keeper: Keeper;
  private loaded: string | undefined;
  private dropped: ReadTable["dropped"] = new Map();

  /** Opens its socket in the calling thread's network namespace. */
  constructor(private readonly deps: UnderlayGuardDependencies) {
    this.keeper = new Keeper({ flag: "--underlay-filter", check: () => this.check(), log: deps.log });
  }

  /** Problems that an operator should fix. */
  get conditions(): readonly HostCondition[] {
    return this.keeper.conditions;
  }

  get settled(): boolean {
    return this.conditions.length === 0 && this.loaded !== undefined;
  }

  /** Applies the controller's set to the rules. */
  settle(): Promise<void> {
    return this.keeper.inTurn(() => this.load());
  }

  close(): void {
    this.keeper.close();
  }

  private async load(): Promise<void> {
    const port = this.deps.registered.tunnelEnd?.vtepPort;
    if (port === undefined) return;
    const bridges = this.deps.register.bridges().filter(isPlainName);
    const elements = underlayElements({ port, senders: this.deps.hostTables.vteps(), bridges });
    if (this.settled && this.loaded === elements.script) return;
    const fresh = this.loaded === undefined;
    if (fresh) await this.table.create(elements);
    this.dropped = (await this.table.fill(elements)).dropped;
    this.loaded = elements.script;
    this.keeper.succeed();
    if (fresh) this.deps.log.info("underlay rules loaded");
  }

  private async check(): Promise<void> {
    if (this.loaded === undefined) return;
    const table = await this.table.look();
    if (table) return this.count(table.dropped);
    this.deps.reporter.note({ kind: "drift-repaired", subject: "underlay rules", count: 1 });
    this.deps.log.warn("another program changed the underlay rules: loading them again");
    this.loaded = undefined;
    await this.load();
  }

  private count(dropped: ReadTable["dropped"]): void {
    for (const reason of underlayReasons) {
      const count = (dropped.get(reason) ?? 0) - (this.dropped.get(reason) ?? 0);
      if (count <= 0) continue;
      if (this.deps.reporter.note({ kind: "stranger", subject: reason, count, detail: meanings[reason] })) {
        this.deps.log.warn({ count }, `${meanings[reason]}: dropped`);
      }
    }
    this.dropped = dropped;
  }
}
