// Loaded into an agent (`node --import`), which then watches nothing of the kernel, neither by messages nor by looking: what it takes less than
// another is what watching takes. It brings its networks up as all agents do.
import { ConditionReporter } from "../../../node-agent/findings/condition-reporter.ts";
import { HostNetworks } from "../../../node-agent/networks/host-networks.ts";
import { ConnectionTracking } from "../../../node-agent/watch/connection-tracking.ts";
import { GuestWatch } from "../../../node-agent/watch/guest-watch.ts";
import { HostFilter } from "../../../node-agent/watch/host-filter.ts";
import { KernelWatch } from "../../../node-agent/watch/kernel-watch.ts";
import { TunnelFilter } from "../../../node-agent/watch/tunnel-filter.ts";

const nothing = (): void => {};

/** @throws Error where a class has no such method any more: it would go on watching */
function without(watcher: { readonly prototype: object; readonly name: string }, methods: readonly string[]): void {
  for (const method of methods) {
    if (!(method in watcher.prototype)) throw new Error(`${watcher.name} has no method ${method}`);
    Object.assign(watcher.prototype, { [method]: nothing });
  }
}

without(KernelWatch, ["schedule", "checkDrops"]);
without(HostNetworks, ["look", "lookAtPorts"]);
without(GuestWatch, ["look", "lookSoon"]);
without(HostFilter, ["start"]);
without(TunnelFilter, ["start"]);
without(ConnectionTracking, ["start"]);
without(ConditionReporter, ["look"]);
