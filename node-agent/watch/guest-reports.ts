// What guests of this host do that an operator should know: each is noted for the controller, and logged once.
import type { Logger } from "pino";
import type { MacAddress, Vni } from "../../schema/address/index.ts";
import type { Reporter } from "../findings/reporter.ts";
import type { WaitingGuest } from "../misses/waiting.ts";
import type { RegisteredNetworks } from "../networks/registered-networks.ts";
import type { HeldAnswers } from "../tables/held.ts";
import { findConflict, type GuestFinding, meaningOf } from "../tables/local-guests.ts";

export interface GuestReportsDependencies {
  readonly held: Pick<HeldAnswers, "find">;
  readonly registered: Pick<RegisteredNetworks, "nameOf">;
  readonly reporter: Pick<Reporter, "note">;
  readonly log: Pick<Logger, "warn">;
}

export class GuestReports {
  constructor(private readonly deps: GuestReportsDependencies) {}

  /** A guest sends that is not registered on this host, or the reverse. */
  readonly found = ({ kind, vni, mac, detail }: GuestFinding): void => {
    if (!this.deps.reporter.note({ kind, vni, subject: mac, detail })) return;
    this.deps.log.warn({ ...this.network(vni), mac, detail }, meaningOf[kind]);
  };

  /** A guest uses an address: perhaps that of another VM. */
  readonly claimed = (vni: Vni, claim: WaitingGuest): void => {
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

  private network(vni: Vni): { readonly network: string | undefined; readonly vni: Vni } {
    return { network: this.deps.registered.nameOf(vni), vni };
  }
}
