// What mutations of every kind of resource do alike.
import { isDeepStrictEqual } from "node:util";
import type { Revision } from "../../schema/address/index.ts";
import type { DecisionContext } from "./decision-context.ts";
import { Refusal } from "./refusal.ts";

export interface Deletion {
  readonly name: string;
  /** What is not there is as it was asked for, and no refusal. */
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

/** The same object where `spec` says what stands already. A new name gets a new uid, a known one keeps it. */
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
