// The allowed characters of names and labels. Imports nothing that pages in browsers would have to load.
import { limits } from "./limits.ts";

/** Without . and .., which no URL can name (RFC 3986 §5.2.4). */
export const namePattern = "^(?!\\.{1,2}$)[A-Za-z0-9._-]{1,63}$";

const labelText = "[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?";
const keyPattern = new RegExp(`^(?:([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)/)?(${labelText})$`);
const valuePattern = new RegExp(`^(?:${labelText})?$`);

/** @returns the fault of the key, in words for its author */
export function findLabelKeyFault(key: string): string | undefined {
  const [, prefix = "", name = ""] = keyPattern.exec(key) ?? [];
  if (name && name.length <= limits.labelLength && prefix.length <= limits.labelPrefixLength) return undefined;
  return `"${key}" is not a valid label key: up to ${limits.labelLength} letters, digits, '.', '_', '-', beginning and ending with a letter or digit, such as "tier" or "example.com/tier"`;
}

/** @returns the fault of the value */
export function findLabelValueFault(value: string): string | undefined {
  if (valuePattern.test(value) && value.length <= limits.labelLength) return undefined;
  return `"${value}" is not a valid label value: up to ${limits.labelLength} letters, digits, '.', '_', '-', beginning and ending with a letter or digit, or empty`;
}
