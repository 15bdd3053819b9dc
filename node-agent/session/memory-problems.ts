// What operators should know of the networks that this host has in memory and on disk, as conditions. Pure.
import type { Vni } from "../../schema/address/index.ts";
import { asCondition, type HostCondition } from "../findings/condition.ts";

/** Names that are listed; of others only the number is given. */
const maxNames = 4;

function listed(names: readonly string[]): string {
  const shown = names.slice(0, maxNames).join(", ");
  const more = names.length - maxNames;
  return `${names.length === 1 ? "network" : "networks"} ${shown}${more > 0 ? ` and ${more} more` : ""}`;
}

/** @param atMs ms since 1970 */
const at = (atMs: number): string => `${new Date(atMs).toISOString().slice(0, 19)}Z`;

/** @param sinceMs when the first of their sessions ended, ms since 1970 */
export function answersAlone(names: readonly string[], sinceMs: number): HostCondition {
  const since = at(sinceMs);
  const says =
    `${listed(names)}: answered from memory as of ${since}, because there is no session since then: VMs that moved are looked for where ` +
    "they were; see why the agent is not connected";
  return asCondition({ kind: "memory-alone", reason: "no-session", values: { since } }, undefined, says);
}

/** @param sinceMs when its session ended, ms since 1970 */
export function tooStale(vni: Vni, name: string, sinceMs: number): HostCondition {
  return asCondition({ kind: "replica-stale", reason: "no-session", vni, values: { since: at(sinceMs) } }, name);
}

export function withoutRoom(vni: Vni, name: string, maxBytes: number): HostCondition {
  const mebibytes = String(Math.floor(maxBytes / 2 ** 20));
  return asCondition({ kind: "replica-too-large", reason: "no-room", vni, values: { mebibytes } }, name);
}

/** @param why what the system said, which is not sent */
export function notStored(directory: string, why: string): HostCondition {
  const says =
    `this host's networks are not stored in ${directory} (${why}): a restart of the host without a controller would begin with what was ` +
    "stored before; free disk space or repair the directory; it is tried again every minute";
  return asCondition({ kind: "memory-not-stored", reason: "refused", values: {} }, undefined, says);
}

export function notUsed(path: string, why: string): HostCondition {
  const says =
    `the stored file ${path} was not used when the agent started (${why}): what it had is there with the next session with the ` +
    "controller, which replaces the file";
  return asCondition({ kind: "memory-not-read", reason: "unusable", values: {} }, undefined, says);
}
