// A client's precondition for its mutation (RFC 9110 §13.1): checked when the mutation is decided, so that no other
// change can come between.
import type { Revision } from "../../schema/address/index.ts";
import { Refusal } from "./refusal.ts";

export type Expectation =
  /** If-Match: the resource is at one of these revisions. */
  | { readonly kind: "at"; readonly revisions: readonly Revision[] }
  /** If-Match: *. */
  | { readonly kind: "present" }
  /** If-None-Match: *. */
  | { readonly kind: "absent" };

/** @throws Refusal that names the expected and the present revision */
export function checkExpectation(
  what: string,
  current: { readonly revision: Revision } | undefined,
  expect: Expectation | undefined,
): void {
  const detail = expect && findContradiction(what, current?.revision, expect);
  if (detail) throw new Refusal("precondition-failed", detail);
}

function findContradiction(what: string, revision: Revision | undefined, expect: Expectation): string | undefined {
  if (expect.kind === "absent") {
    return revision === undefined
      ? undefined
      : `${what} exists, at revision ${revision}, but If-None-Match requires that it does not`;
  }
  const wanted = expect.kind === "at" ? `revision ${expect.revisions.join(" or ")}` : "that it exists";
  if (revision === undefined) return `${what} does not exist, but If-Match wants ${wanted}`;
  if (expect.kind === "present" || expect.revisions.includes(revision)) return undefined;
  return `${what} is at revision ${revision}, but If-Match wants ${wanted}: read it again, and repeat your change on that`;
}
