// What every resource has beside its own fields: name, labels, description, uid, revision.
import type { Revision } from "../address/index.ts";
import { findLabelKeyFault, findLabelValueFault, limits, namePattern } from "../plain/index.ts";
import { type Static, type TSchema, Type } from "../typebox.ts";
import { type Faults, pointerToken } from "./input.ts";

export const closed = { additionalProperties: false } as const;

export const Name = Type.String({
  pattern: namePattern,
  description: "1 … 63 of letters, digits, '.', '_', '-', but not . or ..; immutable",
});

export const RevisionNumber = Type.Integer({ minimum: 0, description: "Position of the last change in the log" });
const Uid = Type.String({ description: "Changes when a name is deleted and created again" });

const labelValue = { type: "string", maxLength: limits.labelLength } as const;
const labelRules =
  `At most ${limits.labelsPerResource}. Keys and values are up to ${limits.labelLength} letters, digits, '.', '_', '-', ` +
  "beginning and ending with a letter or digit; a key may have a DNS name and '/' before it; a value may be empty.";

const Labels = Type.Unsafe<Readonly<Record<string, string>>>({
  type: "object",
  additionalProperties: labelValue,
  maxProperties: limits.labelsPerResource,
  description: `Lists can be filtered by these. ${labelRules}`,
  examples: [{ tier: "web", "example.com/team": "red" }],
});
const Description = Type.String({ maxLength: limits.descriptionLength, description: "For people" });

/** In bodies that create or replace. */
export const metadataInput = { labels: Type.Optional(Labels), description: Type.Optional(Description) };

/** In merge patches (RFC 7396): null removes. */
export const metadataPatch = {
  labels: Type.Optional(
    Type.Unsafe<Readonly<Record<string, string | null>> | null>({
      type: ["object", "null"],
      additionalProperties: { ...labelValue, type: ["string", "null"] },
      maxProperties: limits.labelsPerResource,
      description: `Merged key by key; null removes one, or all. ${labelRules}`,
    }),
  ),
  description: Type.Optional(nullable(Description)),
};

/** In answers. */
export const metadataView = { uid: Uid, labels: Labels, description: Description, revision: RevisionNumber };

/** In answers to writes. */
export const writeNotes = {
  dryRun: Type.Optional(Type.Boolean({ description: "Only with ?dryRun=true: nothing was changed" })),
};

export interface Metadata {
  readonly labels: Readonly<Record<string, string>>;
  readonly description: string;
}

/** The fields that the store adds to a spec. */
export interface Stored {
  readonly uid: string;
  /** Revision of the last change of this resource. */
  readonly revision: Revision;
}

/** A field that a merge patch may remove. */
export function nullable<T extends TSchema>(schema: T) {
  return Type.Unsafe<Static<T> | null>({ ...schema, type: [(schema as unknown as { type: string }).type, "null"] });
}

/** Labels in order of their keys, so that equal ones are equal text. */
export function parseMetadata(input: Partial<Metadata>, faults: Faults): Metadata {
  const labels = Object.entries(input.labels ?? {});
  if (labels.length > limits.labelsPerResource) {
    faults.add("/labels", `${labels.length} labels are too many: a resource has at most ${limits.labelsPerResource}`);
  }
  for (const [key, value] of labels) {
    const fault = findLabelKeyFault(key) ?? findLabelValueFault(value);
    if (fault) faults.add(`/labels/${pointerToken(key)}`, fault);
  }
  labels.sort(([a], [b]) => (a < b ? -1 : 1));
  return { labels: Object.fromEntries(labels), description: input.description ?? "" };
}
