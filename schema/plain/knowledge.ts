// What a host has of a network before its guests ask.

/** The first is the default. */
export const knowledgeModes = ["on-demand", "replicate", "prefetch"] as const;
export type KnowledgeMode = (typeof knowledgeModes)[number];
