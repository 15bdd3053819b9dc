// How many questions were answered, by kind of address and result.
import type { Answer } from "../../schema/address/index.ts";

export interface AnswerCounts {
  readonly knownIps: number;
  readonly unknownIps: number;
  readonly knownMacs: number;
  readonly unknownMacs: number;
}

export const noAnswers: AnswerCounts = { knownIps: 0, unknownIps: 0, knownMacs: 0, unknownMacs: 0 };

export function countAnswers(answers: readonly Answer[]): AnswerCounts {
  let [knownIps, unknownIps, knownMacs, unknownMacs] = [0, 0, 0, 0];
  for (const { key, binding } of answers) {
    if (key.kind === "ip") binding ? knownIps++ : unknownIps++;
    else binding ? knownMacs++ : unknownMacs++;
  }
  return { knownIps, unknownIps, knownMacs, unknownMacs };
}

export function addCounts(a: AnswerCounts, b: AnswerCounts): AnswerCounts {
  return {
    knownIps: a.knownIps + b.knownIps,
    unknownIps: a.unknownIps + b.unknownIps,
    knownMacs: a.knownMacs + b.knownMacs,
    unknownMacs: a.unknownMacs + b.unknownMacs,
  };
}
