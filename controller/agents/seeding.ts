// The way back: whoever is asked for will soon ask for the one who asked, so its host is told in the same breath.
import type { Answer, Binding, Question, Revision } from "../../schema/index.ts";
import { answerFor } from "../inventory/bindings.ts";
import type { Inventory } from "../inventory/inventory.ts";
import { holdAnswer } from "./fan-out.ts";
import type { InterestIndex } from "./interest.ts";

/** Of an unknown asker: so many of its host's addresses in that network, at most. */
const maxSeedsWithoutAsker = 16;

/**
 * What the host behind `binding` is told because `host` has asked for it: the asker where it is named and really runs
 * there, otherwise some of the host's addresses in that network. What is held already is not told again. The receiver is
 * authorized by having a VM in the network: `binding` itself.
 */
export function seedsFor(
  state: Inventory,
  interest: InterestIndex,
  { host, question, binding }: { host: string; question: Question; binding: Binding },
  asOf: Revision,
): Answer[] {
  const { vni } = question;
  const fresh = candidates(state, host, question)
    .map((ip): Answer => answerFor(state, binding.host, { kind: "ip", vni, ip }, asOf))
    .filter((answer) => answer.binding?.host === host && !interest.knows(binding.host, answer.key))
    .slice(0, maxSeedsWithoutAsker);
  for (const answer of fresh) holdAnswer(interest, binding.host, answer, { asked: false });
  return fresh;
}

function candidates(state: Inventory, host: string, question: Question) {
  if (question.asker !== undefined) return [question.asker];
  const network = state.findNetworkByVni(question.vni)?.name;
  return [...state.vmsOn(host).values()]
    .flatMap((vm) => vm.interfaces)
    .filter((each) => each.network === network)
    .flatMap((each) => each.ips)
    .slice(0, maxSeedsWithoutAsker);
}
