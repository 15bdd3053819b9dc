import type { ProblemType } from "../../schema/index.ts";

/** A mutation that the inventory does not carry out, and why, in words for the person who asked for it. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  constructor(
    readonly type: ProblemType,
    detail: string,
  ) {
    super(detail);
  }
}
