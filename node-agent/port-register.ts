// Which devices of this host are guests' ports, by what is registered and what the devices are: only those are guarded, and what is
// wrong with the others is a problem of the host.
import type { Vni } from "../schema/index.ts";
import { bridgeName } from "./kernel/device-names.ts";
import type { NetworkDevices } from "./kernel/devices.ts";
import { readPortDevice } from "./kernel/port-devices.ts";
import type { HostNetworks } from "./networks.ts";
import type { HeldAnswers } from "./tables/held.ts";
import type { AddressedGuest } from "./tables/held-network.ts";
import { disputedPorts, judgePort, type NetworkBridge, type PortVerdict, wrongPort } from "./tables/port-claims.ts";

export interface PortRegisterDependencies {
  readonly held: Pick<HeldAnswers, "locals">;
  readonly devices: Pick<NetworkDevices, "deviceOf" | "adoptedFor">;
  networks(): Pick<HostNetworks, "list" | "nameOf">;
}

/** A guest with a port, and what its port is. */
export interface ClaimedPort {
  readonly vni: Vni;
  readonly port: string;
  readonly guest: AddressedGuest;
  readonly verdict: PortVerdict;
  /** Interfaces of other networks claim it as well. */
  readonly disputed: boolean;
}

export class PortRegister {
  constructor(private readonly deps: PortRegisterDependencies) {}

  /** Every interface with a registered port, as its port is now. */
  list(): ClaimedPort[] {
    const claims = this.deps
      .networks()
      .list()
      .flatMap(({ vni }) =>
        this.deps.held
          .locals(vni)
          .flatMap((guest) => (guest.port === undefined ? [] : [{ vni, port: guest.port, guest }])),
      );
    const disputed = disputedPorts(claims);
    const verdicts = new Map<string, PortVerdict>();
    return claims.map((claim) => {
      const key = `${claim.vni} ${claim.port}`;
      const verdict = verdicts.get(key) ?? judgePort(claim, readPortDevice(claim.port), this.bridgeOf(claim.vni));
      verdicts.set(key, verdict);
      return { ...claim, verdict, disputed: disputed.has(claim.port) };
    });
  }

  /** What an operator should correct. */
  get problems(): string[] {
    return this.list().flatMap(({ vni, port, guest, verdict }) => {
      if (typeof verdict === "string") return [];
      const name = this.deps.networks().nameOf(vni) ?? `VNI ${vni}`;
      return [wrongPort(name, guest.mac, port, verdict.wrong)];
    });
  }

  /** Whether a device is registered as some guest's port. */
  claims(name: string): boolean {
    return this.deps
      .networks()
      .list()
      .some(({ vni }) => this.deps.held.locals(vni).some(({ port }) => port === name));
  }

  /** Whether a device is a port of the network's bridge, also where the network has left this host and the bridge had to stay. */
  isAt(port: string, vni: Vni): boolean {
    return readPortDevice(port)?.bridge === (this.bridgeOf(vni)?.name ?? bridgeName(vni));
  }

  private bridgeOf(vni: Vni): NetworkBridge | undefined {
    const { devices } = this.deps;
    const adopted = devices.adoptedFor(vni)?.bridge;
    if (adopted !== undefined) return { name: adopted, adopted: adopted !== bridgeName(vni) };
    return devices.deviceOf(vni) && { name: bridgeName(vni), adopted: false };
  }
}
