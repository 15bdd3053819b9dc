// Words that nearmiss does not use, with their replacements. Phrases may span a line break: texts are matched after
// their white space has been reduced to single blanks.

export type Kind = "messages" | "comments" | "pages";

export interface AvoidedWord {
  readonly name: string;
  /** Global and case-insensitive, and without an empty match. */
  readonly pattern: RegExp;
  readonly instead: string;
  /** Absent: everywhere. */
  readonly only?: readonly Kind[];
}

/** "held" and "told" name terms of the glossary in comments, so only text for users is checked for them. */
const forUsers = ["messages", "pages"] as const;

/** Replaces `${…}` in the text of a template literal. */
export const placeholder = "…";

export const wordsToAvoid: readonly AvoidedWord[] = [
  { name: "mend", pattern: /\bmend(?:s|ed|ing)?\b/gi, instead: "fix, repair, resolve" },
  { name: "told", pattern: /\btold\b/gi, instead: "notified, informed", only: forUsers },
  { name: "held", pattern: /\b(?:holds|held)\b/gi, instead: "has, stores, cached", only: forUsers },
  { name: "come to", pattern: /\b(?:comes?|came|coming) to\b/gi, instead: "result, reach, total" },
  { name: "by and by", pattern: /\bby and by\b/gi, instead: "in batches, gradually" },
  { name: "whoever", pattern: /\bwhoever\b/gi, instead: "the role that is meant: client, operator, caller" },
  { name: "somebody", pattern: /\bsomebody\b/gi, instead: "the role that is meant, or the passive voice" },
  { name: "nobody", pattern: /\bnobody\b/gi, instead: "no client, no owner, unknown, ignored" },
  {
    name: "matter",
    pattern: /(?:^ ?|…\s|\b(?:a|an|the|this|that|each|every|one|two|open|its|these|those|all|\d+) )matters?\b/gi,
    instead: 'issue (the verb "to matter" is fine)',
  },
  { name: "in the same breath", pattern: /\bin the same breath\b/gi, instead: "at the same time, in the same message" },
  { name: "in mind", pattern: /\bin mind\b/gi, instead: "stored, remembered, configured" },
  { name: "meanwhile", pattern: /\bmeanwhile\b/gi, instead: "during, concurrently" },
];

export interface Found {
  readonly name: string;
  /** A few words around the match. */
  readonly excerpt: string;
  readonly instead: string;
}

/** All matches in one text. */
export function findWords(kind: Kind, text: string): Found[] {
  const flat = text.replace(/\s+/g, " ");
  return wordsToAvoid
    .filter(({ only }) => only === undefined || only.includes(kind))
    .flatMap(({ name, pattern, instead }) =>
      [...flat.matchAll(pattern)].map(({ index, 0: match }) => ({
        name,
        instead,
        excerpt: flat.slice(Math.max(0, index - 30), index + match.length + 30).trim(),
      })),
    );
}
