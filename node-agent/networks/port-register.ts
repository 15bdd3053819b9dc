// Decides which devices of this host are guests' ports, from registrations and devices. Only these are guarded; a wrong
// registration is a problem of the host.
import type { Vni } from "../../schema/address/index.ts";
import { asCondition, type HostCondition } from "../findings/condition.ts";
import { bridgeName } from "../kernel/devices/device-names.ts";
import type { NetworkDevices } from "../kernel/devices/network-devices.ts";
import { readPortDevice } from "../kernel/devices/port-devices.ts";
import type { HeldAnswers } from "../tables/held.ts";
import type { AddressedGuest } from "../tables/held-network.ts";
import { disputedPorts, judgePort, type NetworkBridge, type PortVerdict } from "../tables/port-claims.ts";
import type { RegisteredNetworks } from "./registered-networks.ts";

export interface PortRegisterDependencies {
  readonly held: Pick<HeldAnswers, "locals">;
  readonly devices: Pick<NetworkDevices, "deviceOf" | "adoptedFor">;
  readonly registered: RegisteredNetworks;
  nowMs(): number;
}

/** A guest with a port, and what its port is. */
export interface ClaimedPort {
  readonly vni: Vni;
  readonly port: string;
  readonly guest: AddressedGuest;
  readonly verdict: PortVerdict;
  /** Interfaces of other networks claim it, too. */
  readonly disputed: boolean;
  /** It is being migrated to this host. */
  readonly isPrepared: boolean;
}

/** Verdicts are read again when a link changes, and after this time all the same: messages about links may be lost. */
const freshMs = 60_000;

export class PortRegister {
  /** By network and port. They are asked for with every revision that is acknowledged. */
  private readonly verdicts = new Map<
    string,
    { readonly port: string; readonly verdict: PortVerdict; readonly atMs: number }
  >();

  constructor(private readonly deps: PortRegisterDependencies) {}

  /** A link has changed: what was known of it is not. Without a name: of all of them. */
  forget(name?: string): void {
    if (name === undefined) this.verdicts.clear();
    else for (const [key, { port }] of this.verdicts) if (port === name) this.verdicts.delete(key);
  }

  /** Every interface with a registered port, as its port is now, also of VMs that are being migrated to this host. */
  list(): ClaimedPort[] {
    const { held, registered } = this.deps;
    const claims = registered
      .vnis()
      .flatMap((vni) =>
        [held.locals(vni), registered.prepared.in(vni)].flatMap((guests, i) =>
          guests.flatMap((guest) =>
            guest.port === undefined ? [] : [{ vni, port: guest.port, guest, isPrepared: i === 1 }],
          ),
        ),
      );
    const disputed = disputedPorts(claims);
    // Of registrations that are gone nothing is kept.
    if (this.verdicts.size > 2 * claims.length) this.verdicts.clear();
    return claims.map((claim) => ({ ...claim, verdict: this.verdictOf(claim), disputed: disputed.has(claim.port) }));
  }

  /** What an operator should correct. */
  get conditions(): HostCondition[] {
    return this.list().flatMap(({ vni, port, guest, verdict, isPrepared }) => {
      // What is still to come may be made and attached in any order.
      if (typeof verdict === "string" || isPrepared) return [];
      const name = this.deps.registered.nameOf(vni) ?? `VNI ${vni}`;
      const values = { mac: guest.mac, port, ...verdict.values };
      return [asCondition({ kind: "wrong-port", reason: verdict.wrong, vni, values }, name)];
    });
  }

  /** Whether a device is registered as some guest's port. */
  claims(name: string): boolean {
    const { held, registered } = this.deps;
    return registered
      .vnis()
      .some((vni) => [...held.locals(vni), ...registered.prepared.in(vni)].some(({ port }) => port === name));
  }

  /** Names of the existing bridges of this host's networks. */
  bridges(): string[] {
    return this.deps.registered.vnis().flatMap((vni) => this.bridgeOf(vni)?.name ?? []);
  }

  /** Whether a device is a port of the network's bridge, also where the network has left this host and the bridge had to stay. */
  isAt(port: string, vni: Vni): boolean {
    return readPortDevice(port)?.bridge === (this.bridgeOf(vni)?.name ?? bridgeName(vni));
  }

  private verdictOf(claim: { readonly vni: Vni; readonly port: string }): PortVerdict {
    const key = `${claim.vni} ${claim.port}`;
    const nowMs = this.deps.nowMs();
    const known = this.verdicts.get(key);
    if (known && nowMs - known.atMs < freshMs) return known.verdict;
    const verdict = judgePort(claim, readPortDevice(claim.port), this.bridgeOf(claim.vni));
    this.verdicts.set(key, { port: claim.port, verdict, atMs: nowMs });
    return verdict;
  }

  private bridgeOf(vni: Vni): NetworkBridge | undefined {
    const { devices } = this.deps;
    const adopted = devices.adoptedFor(vni)?.bridge;
    if (adopted !== undefined) return { name: adopted, adopted: adopted !== bridgeName(vni) };
    return devices.deviceOf(vni) && { name: bridgeName(vni), adopted: false };
  }
}
