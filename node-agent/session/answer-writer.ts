// Writes answers to memory and to the kernel, and then sends them to the waiting guests.
import { type Answer, keyText } from "../../schema/address/index.ts";
import type { Announcer } from "../announce/announcer.ts";
import type { Releases } from "../controller-link/releases.ts";
import type { HostNetworks } from "../networks/host-networks.ts";
import type { Entry } from "../tables/entry.ts";
import type { HeldAnswers } from "../tables/held.ts";
import type { Occasion } from "../tables/held-network.ts";

/** Progress of answers; times are of the agent's monotonic clock. */
export interface Programmed {
  /** Acknowledged by the kernel. */
  readonly writtenMs: number;
  /** By key: when the answer was sent to the waiting guests, undefined if no guest waited. */
  readonly announced: ReadonlyMap<string, Promise<number | undefined>>;
}

export interface AnswerWriterDependencies {
  readonly held: HeldAnswers;
  readonly networks: HostNetworks;
  readonly releases: Releases;
  /** Absent with `--announce off`. */
  readonly announcer: Announcer | undefined;
  /** The limit of addresses is near. */
  crowded(): void;
  nowMs(): number;
}

export class AnswerWriter {
  constructor(private readonly deps: AnswerWriterDependencies) {}

  /** Writes to memory and to the kernel, then sends to guests that wait or may have an older MAC. */
  async take(answers: readonly Answer[], occasion: Occasion): Promise<Programmed> {
    const { held, networks, releases, announcer, nowMs } = this.deps;
    const { operations, released, taken, changedMacs } = held.take(releases.pass(answers), nowMs(), occasion);
    const written = networks.write(operations);
    networks.guestsMayHaveChanged(answers.map(({ key }) => key.vni));
    releases.release(released);
    if (held.isCrowded()) this.deps.crowded();
    await written;
    const programmed = this.announce(taken);
    for (const { vni, ...known } of changedMacs) void announcer?.announce(vni, known);
    return programmed;
  }

  /** Sends answers that the kernel has now to the waiting guests. */
  announce(answers: readonly Answer[]): Programmed {
    const { announcer, nowMs } = this.deps;
    const writtenMs = nowMs();
    const announced = new Map<string, Promise<number | undefined>>();
    for (const { key, binding } of answers) {
      if (!announcer || key.kind !== "ip" || !binding || binding.local) continue;
      const known = { ip: key.ip, mac: binding.mac, router: binding.router ?? false };
      announced.set(keyText(key), announcer.answer(key.vni, known));
    }
    return { writtenMs, announced };
  }

  /** Held, but missed: the kernel has lost the entry. @returns when it is written again */
  async reassert(entries: readonly Entry[]): Promise<number> {
    const { networks, announcer, nowMs } = this.deps;
    await networks.write(entries.map((entry) => ({ verb: "put", entry })));
    const programmedMs = nowMs();
    const routers = new Set(entries.flatMap((entry) => (entry.kind === "tunnel" && entry.router ? entry.mac : [])));
    for (const entry of entries) {
      if (entry.kind !== "neighbour") continue;
      void announcer?.answer(entry.vni, { ip: entry.ip, mac: entry.mac, router: routers.has(entry.mac) });
    }
    return programmedMs;
  }
}
