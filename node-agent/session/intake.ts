// Answers on their way into memory and kernel, from wherever they come: what follows from them for guests, interest and limits.
import type { Answer } from "../../schema/address/index.ts";
import type { Releases } from "../controller-link/releases.ts";
import type { EntryWriter, Programmed } from "../networks/entry-writer.ts";
import type { HostNetworks } from "../networks/host-networks.ts";
import type { HeldAnswers } from "../tables/held.ts";
import type { Occasion } from "../tables/held-network.ts";

export interface IntakeDependencies {
  readonly held: Pick<HeldAnswers, "isCrowded">;
  readonly networks: Pick<HostNetworks, "guestsMayHaveChanged">;
  readonly releases: Pick<Releases, "release">;
  readonly writer: Pick<EntryWriter, "take">;
  /** The limit of addresses is near. */
  readonly crowded: () => void;
}

export class Intake {
  constructor(private readonly deps: IntakeDependencies) {}

  take(answers: readonly Answer[], occasion: Occasion): Promise<Programmed> {
    const { held, networks, releases, writer, crowded } = this.deps;
    const { released, guestsIn, programmed } = writer.take(answers, occasion);
    if (guestsIn.length > 0) networks.guestsMayHaveChanged(guestsIn);
    releases.release(released);
    if (held.isCrowded()) crowded();
    return programmed;
  }
}
