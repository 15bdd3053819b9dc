// What guests of this host do that an operator should know: each is noted for the controller, and logged once.
import type { Logger } from "pino";
import type { MacAddress, Vni } from "../../schema/address/index.ts";
import { asCondition, type ConditionSource, type HostCondition } from "../findings/condition.ts";
import type { Reporter } from "../findings/reporter.ts";
import type { WaitingGuest } from "../misses/waiting.ts";
import type { RegisteredNetworks } from "../networks/registered-networks.ts";
import { type AddressClaim, AddressClaims, judgeClaim } from "../tables/address-claims.ts";
import type { GuestAllowances } from "../tables/guest-allowances.ts";
import type { HeldAnswers } from "../tables/held.ts";
import { findConflict, type GuestFinding, meaningOf } from "../tables/local-guests.ts";
import { type StolenMac, StolenMacs } from "../tables/stolen-macs.ts";

export interface GuestReportsDependencies {
  readonly held: Pick<HeldAnswers, "find">;
  readonly registered: Pick<RegisteredNetworks, "nameOf">;
  readonly reporter: Pick<Reporter, "note">;
  readonly allowances: Pick<GuestAllowances, "has">;
  readonly log: Pick<Logger, "warn">;
  nowMs(): number;
}

export class GuestReports implements ConditionSource {
  private readonly claims = new AddressClaims();
  private readonly stolenMacs = new StolenMacs();

  constructor(private readonly deps: GuestReportsDependencies) {}

  /** Addresses and MACs that guests use at present without being registered for them. */
  get conditions(): HostCondition[] {
    return [...this.addressConditions(), ...this.macConditions()];
  }

  private addressConditions(): HostCondition[] {
    return this.claims.list(this.judge, this.deps.nowMs()).map((claim) => {
      const { vni, mac, ip, kind } = claim;
      const [reason, more] =
        claim.kind === "address-conflict" ? ([claim.where, { owner: claim.owner }] as const) : (["used", {}] as const);
      const values: Record<string, string> = { mac, ip, ...more };
      return asCondition({ kind, reason, vni, values }, this.deps.registered.nameOf(vni));
    });
  }

  private macConditions(): HostCondition[] {
    const isRemote = ({ vni, mac }: StolenMac) => this.deps.held.find({ kind: "mac", vni, mac })?.kind === "remote";
    return this.stolenMacs.list(isRemote, this.deps.nowMs()).map(({ vni, mac, portIfindex }) => {
      const values = { mac, ifindex: String(portIfindex) };
      return asCondition({ kind: "mac-conflict", reason: "sends", vni, values }, this.deps.registered.nameOf(vni));
    });
  }

  /** A guest sends with the MAC of a VM on another host. */
  readonly stolen = (stolen: StolenMac): void => this.stolenMacs.note(stolen, this.deps.nowMs());

  /** A guest sends that is not registered on this host, or the reverse. */
  readonly found = ({ kind, vni, mac, detail }: GuestFinding): void => {
    if (!this.deps.reporter.note({ kind, vni, subject: mac, detail })) return;
    this.deps.log.warn({ ...this.network(vni), mac, detail }, meaningOf[kind]);
  };

  /** A guest uses an address: perhaps that of another VM. */
  readonly claimed = (vni: Vni, claim: WaitingGuest): void => {
    const { mac, ip } = claim;
    if (this.deps.allowances.has(vni, mac, ip)) return;
    this.claims.note({ vni, mac, ip }, this.judge, this.deps.nowMs());
    const finding = findConflict(vni, claim, this.deps.held.find({ kind: "ip", vni, ip: claim.ip }));
    if (!finding || !this.deps.reporter.note(finding)) return;
    this.deps.log.warn({ ...this.network(vni), ip: claim.ip, mac: claim.mac }, finding.detail);
  };

  /** A network raises more misses than are read. */
  readonly crowding = (vni: Vni): void => {
    this.deps.reporter.note({ kind: "scan", vni });
    this.deps.log.warn(
      this.network(vni),
      "network crowds out others: its guests raise more misses than the agent can read; its misses are ignored for a while",
    );
  };

  /** @param guest absent: its network, or the whole host, is over its budget */
  readonly scanning = (vni: Vni, guest: MacAddress | undefined): void => {
    if (!this.deps.reporter.note({ kind: "scan", vni, ...(guest === undefined ? {} : { subject: guest }) })) return;
    this.deps.log.warn(
      { ...this.network(vni), guest },
      "scan: a guest queries more addresses than its budget allows; the others are dropped",
    );
  };

  private readonly judge = (claim: AddressClaim) => {
    const { held, allowances } = this.deps;
    const { vni, mac, ip } = claim;
    if (allowances.has(vni, mac, ip)) return undefined;
    const isLocal = held.find({ kind: "mac", vni, mac })?.kind === "local";
    return judgeClaim(claim, held.find({ kind: "ip", vni, ip }), isLocal);
  };

  private network(vni: Vni): { readonly network: string | undefined; readonly vni: Vni } {
    return { network: this.deps.registered.nameOf(vni), vni };
  }
}
