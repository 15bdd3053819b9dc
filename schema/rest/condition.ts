// Conditions as clients of the REST API read them: what is wrong at present, by the names of what it is about.
import { type Static, Type } from "../typebox.ts";
import { Name } from "./metadata.ts";

const Time = (description: string) => Type.String({ format: "date-time", description });

export const ConditionView = Type.Object(
  {
    kind: Type.String({ description: "docs/conditions.md has the kinds; clients meet new ones" }),
    host: Type.Optional({ ...Name, description: "Where it is so. Absent: it is the controller's" }),
    network: Type.Optional({ ...Name, description: "Absent: it concerns the whole host" }),
    vm: Type.Optional({ ...Name, description: "The VM that it is about" }),
    subject: Type.Optional(
      Type.String({ description: "A device or an address that tells it from others of its kind" }),
    ),
    severity: Type.Enum(["bad", "warning"], {
      description: "bad: traffic is lost, a guest spoofs, or changes are refused",
    }),
    status: Type.Enum(["true", "unknown"], { description: "unknown: the host has no session, and was so before" }),
    since: Time(
      "By the controller's clock; it survives a restart of the agent, and of the controller while the agent runs",
    ),
    unknownSince: Type.Optional(Time("Only with status unknown: end of the host's session")),
    title: Type.String({ description: "In a few words, behind the name of what it is about" }),
    reason: Type.String({ description: "For a person" }),
    fix: Type.Optional(Type.String({ description: "What to do, for a person" })),
  },
  { title: "Condition" },
);
export type ConditionView = Static<typeof ConditionView>;

/** In one answer, at most. */
export const maxListedConditions = 1_000;

export const ConditionsView = Type.Object(
  {
    conditions: Type.Array(ConditionView, {
      description: `The first ${maxListedConditions}: the severe ones first, then by host and kind`,
    }),
    total: Type.Integer({ description: "Number of those that match" }),
  },
  { title: "Conditions" },
);
export type ConditionsView = Static<typeof ConditionsView>;

/** Of a resource. */
export const conditionsField = {
  conditions: Type.Optional(
    Type.Array(ConditionView, { description: "What is wrong with it at present; absent: nothing" }),
  ),
};
