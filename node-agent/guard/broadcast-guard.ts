// Keeps the rules in the kernel without which no broadcast is copied (broadcast-rules.ts): loads them, proves them, reads what they
// dropped, and loads them again when another program removes them. Where that fails, the networks' entries go.
import type { Logger } from "pino";
import type { HostCondition } from "../findings/condition.ts";
import type { Reporter } from "../findings/reporter.ts";
import type { Broadcasts, FilteredTunnel } from "../networks/broadcasts.ts";
import type { PortRegister } from "../networks/port-register.ts";
import type { RegisteredNetworks } from "../networks/registered-networks.ts";
import { probeBroadcasts } from "./broadcast-probe.ts";
import { broadcastElements, broadcastScript, broadcastTable, filterReasons, groupElements } from "./broadcast-rules.ts";
import { CommandError } from "./commands.ts";
import { Keeper } from "./keeper.ts";
import type { ReadTable } from "./readback.ts";
import { RuleError, RuleTable, removeTable } from "./rule-table.ts";
import { isPlainName } from "./rules.ts";

/** Looks of the keeper between two attempts where the rules cannot be loaded: from two seconds to half a minute. */
const maxLooksPerAttempt = 15;

export interface BroadcastGuardDependencies {
  readonly broadcasts: Pick<
    Broadcasts,
    "tunnels" | "awaitsRules" | "rulesLoaded" | "rulesMissing" | "written" | "count" | "noteStorm" | "copiesPerSecond"
  >;
  readonly registered: Pick<RegisteredNetworks, "epoch">;
  readonly register: Pick<PortRegister, "isAt">;
  readonly reporter: Pick<Reporter, "note">;
  readonly log: Logger;
}

const unseen: Pick<ReadTable, "dropped" | "offenders"> = { dropped: new Map(), offenders: new Map() };

export class BroadcastGuard {
  /** They are of the networks that are not copied. */
  readonly conditions: readonly HostCondition[] = [];
  private readonly table: RuleTable;
  private readonly keeper: Keeper;
  /** The tunnels with their rates, and with their groups. */
  private loaded: { readonly rates: string; readonly whole: string } | undefined;
  /** What an earlier run may have left is gone, or in use. */
  private isSwept = false;
  private looks = 0;
  private looksPerAttempt = 1;
  private seen = unseen;

  /** Opens its socket in the calling thread's network namespace. */
  constructor(private readonly deps: BroadcastGuardDependencies) {
    this.table = new RuleTable("bridge", broadcastScript(deps.broadcasts.copiesPerSecond), broadcastTable);
    this.keeper = new Keeper({
      flag: "broadcast: replicate",
      check: () => this.check(),
      failed: (reason) => {
        this.loaded = undefined;
        this.isSwept = false;
        return deps.broadcasts.rulesMissing(reason);
      },
      log: deps.log,
    });
  }

  /** Whether networks are copied is decided. Those without rules are not, which holds no other change up. */
  get settled(): boolean {
    return !this.deps.broadcasts.awaitsRules;
  }

  /** Applies the networks and their hosts to the rules. */
  settle(): Promise<void> {
    return this.keeper.inTurn(() => this.load());
  }

  close(): void {
    this.keeper.close();
  }

  private async load(): Promise<void> {
    const { broadcasts } = this.deps;
    const tunnels = broadcasts.tunnels().filter(({ device }) => isPlainName(device));
    if (tunnels.length === 0) return this.remove();
    const elements = broadcastElements(tunnels);
    if (this.loaded?.whole === elements.script && !broadcasts.awaitsRules) return;
    const rates = broadcastElements(tunnels.map((tunnel) => ({ ...tunnel, groups: new Map() }))).script;
    const isSameRates = this.loaded?.rates === rates;
    // A tunnel that the rules do not cover any more has no entries.
    await broadcasts.written;
    if (this.loaded === undefined) await this.begin(tunnels);
    this.count(await this.table.fill(isSameRates ? groupElements(tunnels) : elements), tunnels);
    this.loaded = { rates, whole: elements.script };
    this.looksPerAttempt = 1;
    this.keeper.succeed();
    await broadcasts.rulesLoaded(tunnels.map(({ device }) => device));
  }

  /** Replaces the table of an earlier run in one transaction: its tunnels are covered throughout. */
  private async begin(tunnels: readonly FilteredTunnel[]): Promise<void> {
    await this.table.create(broadcastElements(tunnels));
    this.isSwept = true;
    const wrong = await probeBroadcasts(tunnels);
    if (wrong !== undefined) throw new RuleError(`they are not effective: ${wrong}`);
    this.seen = (await this.table.read()) ?? unseen;
    this.deps.log.info({ tunnels: tunnels.map(({ device }) => device) }, "broadcast rules loaded");
  }

  /** No network needs them. Before the first session that is not known. */
  private async remove(): Promise<void> {
    if (this.deps.registered.epoch === "" || (this.isSwept && this.loaded === undefined)) return;
    await this.deps.broadcasts.written;
    await removeTable("bridge", broadcastTable);
    this.isSwept = true;
    this.loaded = undefined;
    this.keeper.succeed();
  }

  private async check(): Promise<void> {
    const { broadcasts, reporter, log } = this.deps;
    const tunnels = broadcasts.tunnels();
    if (tunnels.length === 0) return;
    if (this.loaded === undefined) {
      this.looks += 1;
      if (this.looks < this.looksPerAttempt) return;
      this.looks = 0;
      this.looksPerAttempt = Math.min(2 * this.looksPerAttempt, maxLooksPerAttempt);
      return this.load();
    }
    const table = await this.look();
    if (table) return this.count(table, tunnels);
    reporter.note({ kind: "drift-repaired", subject: "broadcast rules", count: 1 });
    log.warn("another program changed the broadcast rules: loading them again");
    this.loaded = undefined;
    await this.load();
  }

  /** @returns undefined also where the table vanishes while it is read: it is loaded again then */
  private async look(): Promise<ReadTable | undefined> {
    try {
      return await this.table.look();
    } catch (error) {
      if (error instanceof CommandError) return undefined;
      throw error;
    }
  }

  private count(table: Pick<ReadTable, "dropped" | "offenders">, tunnels: readonly FilteredTunnel[]): void {
    const { broadcasts, register, log } = this.deps;
    const more = (counter: string): number => (table.dropped.get(counter) ?? 0) - (this.seen.dropped.get(counter) ?? 0);
    broadcasts.count("copied", more("copied"));
    broadcasts.count("storm", more("storm"));
    for (const reason of filterReasons) broadcasts.count("filtered", more(reason));
    for (const [port, total] of table.offenders) {
      const count = total - (this.seen.offenders.get(port) ?? 0);
      // Without a name: the host itself, on the bridge of an adopted device.
      const found = count > 0 && port !== "" ? tunnels.find(({ vni }) => register.isAt(port, vni)) : undefined;
      if (!found) continue;
      if (broadcasts.noteStorm(port, found.vni))
        log.warn(
          { port, vni: found.vni, count },
          "a guest sends more broadcasts than are copied: the rest stays on this host",
        );
    }
    this.seen = table;
  }
}
