// What the agent hears of the kernel by itself: misses, changes to devices and entries, and guests that send.
import type { Logger } from "pino";
import type { Vni } from "../schema/address/index.ts";
import type { Clock, Core } from "./core.ts";
import { Links } from "./kernel/devices/links.ts";
import { countTcx, describeBpfObjects } from "./kernel/sockets/bpf-programs.ts";
import { watchRoutes } from "./kernel/sockets/route-watch.ts";
import type { Kernel } from "./open-kernel.ts";
import { GuestWatch } from "./watch/guest-watch.ts";
import { KernelWatch } from "./watch/kernel-watch.ts";
import { ProgramWatch } from "./watch/program-watch.ts";

export type Watchers = ReturnType<typeof startWatchers>;

/**
 * Opens sockets in the calling thread's network namespace, and reads from now on.
 * @param takenOver networks with devices of an earlier run
 */
export function startWatchers(
  kernel: Kernel,
  core: Core,
  { nowMs, random }: Clock,
  takenOver: ReadonlySet<Vni>,
  log: Logger,
) {
  kernel.misses.read(core.crowding.onMiss, core.resolver.onMiss);
  kernel.missThread?.read({
    onAnswer: (answer, ifindex) => {
      core.crowding.onMiss(answer.miss, ifindex);
      core.resolver.onThreadAnswer(answer);
    },
    onFailure: (reason) => {
      log.error(
        { reason },
        "the thread that answers misses of networks in memory failed: the main thread answers them",
      );
      // It may have written entries without a record.
      core.networks.look("overrun");
    },
  });
  const lookAtRoutes = (): void => core.routes?.lookSoon();
  const stopRoutes = watchRoutes(lookAtRoutes);
  const guests = new GuestWatch({ ...kernel, ...core, takenOver, onFinding: core.reports.found, nowMs });
  const changes = new KernelWatch({ ...kernel, ...core, guests, onUnderlay: lookAtRoutes, nowMs, random, log });
  const links = new Links(kernel.requests);
  const listLinks = () => links.list();
  const programs = new ProgramWatch({ ...kernel, ...core, listLinks, countTcx, describeBpfObjects, nowMs });
  core.conditions.attach(guests);
  return {
    changes,
    guests,
    close: () => {
      stopRoutes();
      changes.close();
      programs.close();
      guests.close();
    },
  };
}
