// The differences between two states of a resource, field by field, down to labels and named interfaces. Pure.
import type { Fields } from "./fleet.ts";

/** One field of a resource. `undefined`: it is not there, or is left to its default. */
export interface FieldChange {
  /** Such as `labels.tier` or `interfaces.eth0.ips`. */
  readonly field: string;
  readonly from: unknown;
  readonly to: unknown;
}

/** None where both are the same, however they are written. */
export function changesWithin(field: string, from: unknown, to: unknown): FieldChange[] {
  if (isEqual(from, to)) return [];
  const [before, after] = [byKey(from), byKey(to)];
  if (!before || !after) return [{ field, from, to }];
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  const within = [...keys].flatMap((key) => changesWithin(`${field}.${key}`, own(before, key), own(after, key)));
  // The same parts in another order.
  return within.length > 0 ? within : [{ field, from: Object.keys(before), to: Object.keys(after) }];
}

/** A label or an interface may be called as something that every object inherits, such as "constructor". */
const own = (fields: Fields, key: string): unknown => (Object.hasOwn(fields, key) ? fields[key] : undefined);

/** Values with named parts: objects, and lists of named objects. */
function byKey(value: unknown): Fields | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  if (!Array.isArray(value)) return value as Fields;
  if (!value.every((item) => typeof item === "object" && item !== null && "name" in item)) return undefined;
  return Object.fromEntries(value.map(({ name, ...rest }) => [name, rest]));
}

function isEqual(a: unknown, b: unknown): boolean {
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
}

/** Objects with their keys in order: how something is written does not matter. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, each]) => each !== undefined);
  return entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, each]) => [key, sorted(each)]);
}

/** A value as people read it. */
export function textOf(value: unknown): string {
  if (value === undefined) return "(none)";
  if (Array.isArray(value)) return value.length === 0 ? "[]" : value.map(textOf).join(", ");
  if (typeof value === "object" && value !== null) {
    return Object.entries(value)
      .filter(([, each]) => each !== undefined)
      .map(([key, each]) => `${key} ${textOf(each)}`)
      .join(", ");
  }
  return value === "" ? '""' : String(value);
}
