// This host's own VMs as they were stored: each is taken as here when its port is on its network's bridge, until a session says what is
// here.
import type { Answer, Vni } from "../../schema/address/index.ts";
import type { PortRegister } from "../networks/port-register.ts";

export interface AwaitedGuestsDependencies {
  readonly register: Pick<PortRegister, "isAt">;
  readonly take: (answers: readonly Answer[]) => void;
}

export class AwaitedGuests {
  /** By network and port. */
  private readonly awaited = new Map<Vni, Map<string, Answer[]>>();

  constructor(private readonly deps: AwaitedGuestsDependencies) {}

  /** Interfaces without a registered port are here: nothing would show that they are not. @param answers with local bindings */
  add(answers: readonly Answer[]): void {
    for (const answer of answers) {
      const { vni } = answer.key;
      const port = answer.binding?.guestPort;
      if (port === undefined) this.deps.take([answer]);
      else {
        const ports = this.awaited.get(vni) ?? new Map<string, Answer[]>();
        this.awaited.set(vni, ports);
        ports.set(port, [...(ports.get(port) ?? []), answer]);
      }
    }
    for (const vni of this.awaited.keys()) this.look(vni);
  }

  /** Ports of the network's bridge may have come. */
  look(vni: Vni): void {
    const ports = this.awaited.get(vni);
    if (!ports) return;
    for (const [port, answers] of ports) {
      if (!this.deps.register.isAt(port, vni)) continue;
      ports.delete(port);
      this.deps.take(answers);
    }
    if (ports.size === 0) this.awaited.delete(vni);
  }

  /** A session has said which VMs are here. */
  clear(): void {
    this.awaited.clear();
  }
}
