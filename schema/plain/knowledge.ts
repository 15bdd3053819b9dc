// What a host has of a network before its guests ask.

/** What hosts do. The first is the default. */
export const hostKnowledgeModes = ["on-demand", "replicate", "prefetch"] as const;
export type HostKnowledgeMode = (typeof hostKnowledgeModes)[number];

/** What operators write. With `auto` the controller chooses one of the others. */
export const knowledgeModes = [...hostKnowledgeModes, "auto"] as const;
export type KnowledgeMode = (typeof knowledgeModes)[number];

/** What the controller has chosen, and at which size of the network. */
export interface KnowledgeChoice {
  readonly mode: HostKnowledgeMode;
  /** IP addresses in the network. Absent, with the other two: the mode is that of before, and nothing was counted yet. */
  readonly addresses?: number;
  readonly hosts?: number;
  /** Changed addresses and MACs, on average over some minutes. */
  readonly changesPerMinute?: number;
}

interface Known {
  readonly knowledge?: KnowledgeMode;
  readonly knowledgeChosen?: KnowledgeChoice;
}

/** What the network's hosts do. */
export function effectiveKnowledge({ knowledge = "on-demand", knowledgeChosen }: Known): HostKnowledgeMode {
  return knowledge === "auto" ? (knowledgeChosen?.mode ?? "on-demand") : knowledge;
}

/** For a person. */
export function describeKnowledge({ knowledge, knowledgeChosen }: Known): string {
  if (knowledge !== "auto") return knowledge ?? "on-demand, the default";
  const mode = effectiveKnowledge({ knowledge, ...(knowledgeChosen ? { knowledgeChosen } : {}) });
  const { addresses, hosts, changesPerMinute } = knowledgeChosen ?? {};
  if (addresses === undefined) return `auto: ${mode}, until the network's size is known`;
  return `auto: ${mode}, chosen with ${addresses} addresses on ${hosts} hosts and ${changesPerMinute} changes a minute`;
}
