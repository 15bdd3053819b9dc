// What the agent hears of the kernel by itself: misses, changes to devices and entries, and guests that send.
import type { Logger } from "pino";
import type { Clock, Core } from "./core.ts";
import type { Kernel } from "./open-kernel.ts";
import { GuestWatch } from "./watch/guest-watch.ts";
import { KernelWatch } from "./watch/kernel-watch.ts";

export type Watchers = ReturnType<typeof startWatchers>;

/** Opens sockets in the calling thread's network namespace, and reads from now on. */
export function startWatchers(kernel: Kernel, core: Core, { nowMs, random }: Clock, log: Logger) {
  kernel.misses.read(core.crowding.onMiss, core.resolver.onMiss);
  const changes = new KernelWatch({ ...kernel, ...core, nowMs, random, log });
  const guests = new GuestWatch({ ...kernel, ...core, onFinding: core.reports.found, nowMs });
  return {
    changes,
    guests,
    close: () => {
      changes.close();
      guests.close();
    },
  };
}
