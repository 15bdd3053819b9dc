// An event in words. Pure.
import { defined } from "../../common/defined.ts";
import type { CloudEvent, OperationalCloudEvent } from "../../schema/events/index.ts";
import type { StreamEvent } from "./events.ts";

export interface FieldChange {
  readonly field: string;
  /** Absent: it was not there, or is not any more. */
  readonly before?: string;
  readonly after?: string;
}

type Fields = Readonly<Record<string, unknown>>;

/** The names of changed fields for users; all fields of a created or deleted resource. */
export function fieldChanges({ data }: CloudEvent): FieldChange[] {
  const before = flat(data.before as Fields | null);
  const after = flat(data.after as Fields | null);
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((field) => {
    const [was, is] = [before.get(field), after.get(field)];
    if (was === is) return [];
    return [{ field, ...defined({ before: was, after: is }) }];
  });
}

const unsaid = new Set(["uid", "revision", "name"]);

function flat(resource: Fields | null): Map<string, string> {
  const found = new Map<string, string>();
  const add = (field: string, value: unknown) => {
    if (value === "" || value === undefined || value === null) return;
    if (Array.isArray(value)) {
      if (value.every((each) => typeof each === "object" && each !== null)) {
        for (const each of value as Fields[]) addAll(String(each.name), each);
      } else if (value.length > 0) found.set(field, value.join(", "));
    } else if (typeof value === "object") addAll(field, value as Fields);
    else found.set(field, String(value));
  };
  const addAll = (prefix: string, fields: Fields) => {
    for (const [key, value] of Object.entries(fields)) if (key !== "name") add(`${prefix} ${key}`, value);
  };
  for (const [key, value] of Object.entries(resource ?? {})) if (!unsaid.has(key)) add(key, value);
  return found;
}

/** Of a change: one line. */
export function summary(event: CloudEvent): string {
  const { before, after } = event.data as { before: Fields | null; after: Fields | null };
  const verb = event.type.split(".")[2];
  if (verb === "updated") {
    const changed = fieldChanges(event);
    const [first] = changed;
    if (!first) return "";
    const one = `${first.field}: ${first.before ?? "none"} → ${first.after ?? "none"}`;
    return changed.length === 1 ? one : `${one}, and ${changed.length - 1} more`;
  }
  const resource = after ?? before ?? {};
  if (event.subject.startsWith("vms/")) return `on ${resource.host}`;
  if (event.subject.startsWith("hosts/")) return `VTEP ${resource.vtep}`;
  return `VNI ${resource.vni}`;
}

/** Of an operational event: one line. */
export function operationalText({ data }: OperationalCloudEvent): string {
  const { subject, detail, count, network } = data;
  const often = count > 1 ? `${count} times` : undefined;
  return [subject, detail, network && `network ${network}`, often].filter(Boolean).join(" · ");
}

/** A VM that changed its host. */
export function moveOf(event: StreamEvent): { vm: string; from: string; to: string } | undefined {
  if (event.type !== "nearmiss.vm.updated") return undefined;
  const { before, after } = event.data as { before: Fields | null; after: Fields | null };
  const [from, to] = [before?.host, after?.host];
  if (typeof from !== "string" || typeof to !== "string" || from === to) return undefined;
  return { vm: event.subject.slice("vms/".length), from, to };
}

export interface EventFilter {
  /** `vm`, `host`, `network`, `operational`; empty: all. */
  readonly kind: string;
  readonly network: string;
  readonly host: string;
  readonly name: string;
}

/** As `GET /v1/log` filters. */
export function passes(filter: EventFilter, event: StreamEvent): boolean {
  const [, kind = ""] = event.type.split(".");
  if (filter.kind !== "" && filter.kind !== kind) return false;
  if (filter.name !== "" && !event.subject.endsWith(`/${filter.name}`)) return false;
  if (filter.network === "" && filter.host === "") return true;
  const sides = kind === "operational" ? [event.data as object as Fields] : Object.values(event.data as Fields);
  return sides.some((side) => side !== null && isAt(filter, kind, side as Fields));
}

function isAt({ network, host }: EventFilter, kind: string, side: Fields): boolean {
  const hostOf = kind === "host" ? side.name : side.host;
  const networks =
    kind === "vm"
      ? ((side.interfaces ?? []) as Fields[]).map((each) => each.network)
      : [kind === "network" ? side.name : side.network];
  return (host === "" || hostOf === host) && (network === "" || networks.includes(network));
}
