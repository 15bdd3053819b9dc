// The return path: a VM that is asked for will soon ask for the asking VM, so its host gets that answer at the same
// time.
import type { Answer, Binding, IpAddress, Revision, Vni } from "../../schema/address/index.ts";
import type { Question } from "../../schema/agent/index.ts";
import { answerFor } from "../inventory/bindings.ts";
import type { Inventory } from "../inventory/inventory.ts";
import type { InterestIndex } from "./interest.ts";

/** If the asker is unknown: maximum number of its host's addresses in that network. */
const maxSeedsWithoutAsker = 16;

/**
 * Seeds for the host of `binding`, because `host` has asked for it: the asker if it is named and runs there, otherwise some of
 * the asking host's addresses in that network. Keys that the receiver already holds are left out. The receiver may know them,
 * since it has a VM in the network: `binding` itself.
 */
export function seedsFor(
  state: Inventory,
  interest: InterestIndex,
  {
    host,
    asked,
    question,
    binding,
  }: {
    readonly host: string;
    /** Possible askers on the asking host. */
    readonly asked: readonly IpAddress[];
    readonly question: Question;
    readonly binding: Binding;
  },
  asOf: Revision,
): Answer[] {
  const { vni } = question;
  const fresh = asked
    .map((ip): Answer => answerFor(state, binding.host, { kind: "ip", vni, ip }, asOf))
    .filter((answer) => answer.binding?.host === host && !interest.knows(binding.host, answer.key))
    .slice(0, maxSeedsWithoutAsker);
  for (const answer of fresh) interest.holdAnswer(binding.host, answer, { asked: false });
  return fresh;
}

/** Computed once per frame, for all questions without an asker: the host may have thousands of VMs. */
export class SeedCandidates {
  private readonly byVni = new Map<Vni, readonly IpAddress[]>();

  constructor(
    private readonly state: Inventory,
    private readonly host: string,
  ) {}

  of({ asker, vni }: Question): readonly IpAddress[] {
    if (asker !== undefined) return [asker];
    const found = this.byVni.get(vni) ?? [...this.addressesIn(vni)];
    this.byVni.set(vni, found);
    return found;
  }

  private *addressesIn(vni: Vni): Generator<IpAddress> {
    const network = this.state.findNetworkByVni(vni)?.name;
    let left = maxSeedsWithoutAsker;
    for (const { interfaces } of this.state.vmsOn(this.host).values()) {
      for (const ip of interfaces.flatMap((each) => (each.network === network ? each.ips : []))) {
        if (left === 0) return;
        left -= 1;
        yield ip;
      }
    }
  }
}
