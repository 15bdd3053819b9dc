// A running mode: its lab, and guests that repeatedly become new VMs. Several stands run side by side.
import type { Guest } from "../lab/guest.ts";
import type { Host } from "../lab/host.ts";
import { createLab, type Lab } from "../lab/lab.ts";
import type { Endpoint } from "./addresses.ts";
import { inGroups } from "./groups.ts";
import type { Mode, Placement } from "./modes/mode.ts";
import { become, bootQuietGuest } from "./quiet-guest.ts";

/** Guests handled at the same time: each is a handful of processes. */
const atOnce = 8;

/** A guest and its present identity. */
export interface Actor {
  readonly guest: Guest;
  readonly endpoint: Endpoint;
}

export class Stand {
  #present: readonly Actor[] = [];

  private constructor(
    readonly mode: Mode,
    readonly lab: Lab,
    readonly guests: readonly Guest[],
  ) {}

  /** @param guestHosts where guests are booted, by number of the host; a host may be named several times */
  static async build(mode: Mode, hostCount: number, guestHosts: readonly number[]): Promise<Stand> {
    const lab = await createLab({ hosts: hostCount, underlay: 4 });
    try {
      await mode.prepare(lab);
      const guests = await inGroups(guestHosts, atOnce, (number, i) => bootQuietGuest(hostAt(lab, number), i));
      return new Stand(mode, lab, guests);
    } catch (error) {
      await lab.remove();
      throw error;
    }
  }

  /**
   * The guests become new VMs, one endpoint each. Afterwards they are unknown everywhere, except for what the mode announces
   * beforehand.
   */
  async recast(endpoints: readonly Endpoint[]): Promise<Actor[]> {
    const actors = endpoints.map((endpoint, i): Actor => {
      const guest = this.guests[i];
      if (!guest) throw new RangeError(`the stand has ${this.guests.length} guests for ${endpoints.length} endpoints`);
      return { guest, endpoint };
    });
    await inGroups(actors, atOnce, ({ guest, endpoint }) => become(guest, endpoint));
    await this.mode.place(
      this.lab,
      actors.map((each) => this.#placement(each)),
      this.#present.map((each) => this.#placement(each)),
    );
    this.#present = actors;
    return actors;
  }

  /** undefined for a mode without a controller. */
  async resolves(): Promise<number | undefined> {
    return this.mode.resolves?.(this.lab);
  }

  /** As `resolves`, including queries for unregistered addresses. */
  async questions(): Promise<number | undefined> {
    return this.mode.questions?.(this.lab);
  }

  remove(): Promise<void> {
    return this.lab.remove();
  }

  #placement({ guest, endpoint }: Actor): Placement {
    return { host: this.lab.host(guest.host.name), endpoint };
  }
}

function hostAt(lab: Lab, number: number): Host {
  const host = lab.hosts[number];
  if (!host) throw new RangeError(`the lab has ${lab.hosts.length} hosts, none with number ${number}`);
  return host;
}
