import type { ResourceKind } from "../../schema/events/index.ts";
import type { ProblemType } from "../../schema/plain/index.ts";

/** The inventory refuses a mutation. The text says why, for the person who requested it. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  constructor(
    readonly type: ProblemType,
    detail: string,
  ) {
    super(detail);
  }
}

/** Hears of each breach and of the resource that is at fault. May throw, which ends the look. */
export type OnRefusal = (refusal: Refusal, kind: ResourceKind, name: string) => void;

export type Look = (kind: ResourceKind, name: string, check: () => void) => void;
