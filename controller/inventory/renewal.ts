// Common parts of mutations of all kinds of resources.
import { isDeepStrictEqual } from "node:util";
import type { Revision } from "../../schema/address/index.ts";
import type { DecisionContext } from "./decision-context.ts";
import { Refusal } from "./refusal.ts";

export interface Deletion {
  readonly name: string;
  /** Deleting an absent resource is not refused: the requested state is there. */
  readonly ifPresent?: boolean;
}

export function refuseTaken(
  kind: string,
  current: { readonly name: string; readonly revision: Revision } | undefined,
): void {
  if (!current) return;
  const detail = `a ${kind} named "${current.name}" exists, at revision ${current.revision}: change it with PUT or PATCH`;
  throw new Refusal("name-taken", detail);
}

/** The same object if `spec` states the present values. A new name gets a new uid, a known one keeps it. */
export function renewed<
  Spec extends object,
  Resource extends Spec & { readonly uid: string; readonly revision: Revision },
>(current: Resource | undefined, spec: Spec, context: DecisionContext): Resource {
  const uid = current?.uid ?? context.newUid();
  if (current && isDeepStrictEqual(current, { ...spec, uid, revision: current.revision })) return current;
  return { ...spec, uid, revision: context.revision } as Resource;
}

export function getOr404<T>(kind: string, name: string, resource: T | undefined): T {
  if (!resource) throw new Refusal("not-found", `no ${kind} is named "${name}"`);
  return resource;
}
