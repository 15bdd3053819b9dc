// What `knowledge: auto` means for a network: by its size, its hosts and its changes. Pure. The bounds and their reasons are in
// docs/adr/0236-knowledge-is-chosen-by-cost.md.
import { type HostKnowledgeMode, hostKnowledgeModes, type KnowledgeChoice } from "../../schema/plain/index.ts";

export interface NetworkLoad {
  /** IP addresses. */
  readonly addresses: number;
  readonly hosts: number;
  /** Of addresses and MACs. */
  readonly changesPerMinute: number;
}

interface Bound {
  readonly mode: Exclude<HostKnowledgeMode, "on-demand">;
  readonly addresses: number;
  /** Addresses, each counted for each host that has it: what is sent when all hosts need everything, as after a restored backup. */
  readonly copies: number;
  /** Changes a minute, each counted for each host that is sent it. */
  readonly pushesPerMinute: number;
}

/** A network leaves a mode above these, and takes it at half of them and below: it does not go back and forth. The first that fits counts. */
const bounds: readonly Bound[] = [
  { mode: "prefetch", addresses: 512, copies: 2 ** 20, pushesPerMinute: 1_200 },
  { mode: "replicate", addresses: 131_072, copies: 2 ** 24, pushesPerMinute: 60_000 },
];

/** @param present absent: none was chosen yet */
export function chooseKnowledge(present: HostKnowledgeMode | undefined, load: NetworkLoad): KnowledgeChoice {
  const { addresses, hosts, changesPerMinute } = load;
  const rank = (mode: HostKnowledgeMode): number => hostKnowledgeModes.indexOf(mode);
  const fits = (bound: Bound): boolean => {
    const share = present !== undefined && rank(present) >= rank(bound.mode) ? 1 : 0.5;
    return (
      addresses <= bound.addresses * share &&
      addresses * hosts <= bound.copies * share &&
      changesPerMinute * hosts <= bound.pushesPerMinute * share
    );
  };
  const mode = bounds.find(fits)?.mode ?? "on-demand";
  return { mode, addresses, hosts, changesPerMinute };
}
