// Determines the kind of a search by its text. Text that the controller would refuse is not sent: it is incomplete.
// Pure.
import { maxSelectorLength, namePattern, parseSelector, SelectorError } from "../../schema/plain/index.ts";

export type Query = Readonly<Record<string, string>>;

/** The query for a text, or what is missing in the text, in words for the user. */
export type Sought = { readonly ask: Query } | { readonly missing: string };

const noName = "a name has letters, digits, '.', '_' and '-', 63 at most";

/** All whose names begin so. */
export function namesBeginning(text: string): Sought {
  return /^[\w.-]{0,63}$/.test(text) ? { ask: text === "" ? {} : { name: text } } : { missing: noName };
}

/** One by its whole name, as the query `key` takes it. */
export const wholeName =
  (key: string) =>
  (text: string): Sought => {
    if (text === "") return { ask: {} };
    return new RegExp(namePattern).test(text) ? { ask: { [key]: text } } : { missing: noName };
  };

/** Label selectors. */
export function labelled(text: string): Sought {
  if (text === "") return { ask: {} };
  if (text.length > maxSelectorLength) return { missing: `${maxSelectorLength} characters at most` };
  try {
    parseSelector(text);
    return { ask: { label: text } };
  } catch (error) {
    if (error instanceof SelectorError) return { missing: error.message };
    throw error;
  }
}

/** A whole IP or MAC, or how a name begins. */
export function nameOrAddress(text: string): Sought {
  if (/^[\da-f]{2}([:-][\da-f]{2}){5}$/i.test(text)) {
    return isUnicast(text) ? { ask: { mac: text } } : { missing: "no interface has this MAC: it is not unicast" };
  }
  if (/^(\d{1,3}\.){3}\d{1,3}$/.test(text) && isIp(text)) return { ask: { ip: text } };
  if (!text.includes(":")) return namesBeginning(text);
  return isIp(`[${text}]`) ? { ask: { ip: text } } : { missing: "an address is searched for when it is whole" };
}

/** Multicast addresses belong to no interface (IEEE 802: I/G bit). */
function isUnicast(mac: string): boolean {
  return (Number.parseInt(mac.slice(0, 2), 16) & 1) === 0 && !/^0+$/.test(mac.replace(/[:-]/g, ""));
}

/** As the URL standard reads a host: addresses that the controller refuses beyond that, such as multicast, have no VM. */
function isIp(host: string): boolean {
  try {
    return new URL(`http://${host}`).hostname !== "";
  } catch {
    return false;
  }
}
