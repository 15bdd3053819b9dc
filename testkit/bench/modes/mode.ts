// The interface of a way of resolving neighbours for a bench: set up its hosts, and process added and removed VMs.
import type { Host } from "../../lab/host.ts";
import type { Lab } from "../../lab/lab.ts";
import type { Endpoint } from "../addresses.ts";

/**
 * `nearmiss` is on demand, the default, with its controller one switch away; with `on-demand-far` it is 5 ms away, there and back, and with
 * `on-demand-cold` neither side runs made-up misses between real ones.
 * `replicate-alone` has no controller while its packets are sent.
 */
export const modeNames = [
  "static",
  "flood-and-learn",
  "nearmiss",
  "on-demand-far",
  "on-demand-cold",
  "replicate",
  "replicate-alone",
  "prefetch",
  "nearmiss-announce-off",
  "tutorial",
] as const;
export type ModeName = (typeof modeNames)[number];

/** A VM and the host that it runs on. */
export interface Placement {
  readonly host: Host;
  readonly endpoint: Endpoint;
}

export interface Mode {
  readonly name: ModeName;
  /** Guests wait for their own next try, which takes seconds: fewer trials say enough. */
  readonly slow: boolean;
  /** Makes bridge and vxlan device of the network on all hosts, and starts the programs of the mode. */
  prepare(lab: Lab): Promise<void>;
  /** Removes `gone` and adds `come`: when this resolves, exactly the hosts that must know in this mode are informed. */
  place(lab: Lab, come: readonly Placement[], gone: readonly Placement[]): Promise<void>;
  /** Around each measured packet. */
  begin?(lab: Lab): Promise<void>;
  end?(lab: Lab): Promise<void>;
  /** Questions of agents that the controller has answered with an address so far; absent without a controller, and where it is not asked. */
  resolves?(lab: Lab): Promise<number>;
  /** The same with queries for unregistered addresses. */
  questions?(lab: Lab): Promise<number>;
}
