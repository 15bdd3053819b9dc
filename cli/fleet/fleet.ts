// A fleet as it is written down, and as a controller has it: plain resources by name, in canonical form.
import type { ResourceKind } from "../../schema/events/index.ts";

export const kinds = ["network", "host", "vm"] as const satisfies readonly ResourceKind[];
export const plurals = { network: "networks", host: "hosts", vm: "vms" } as const;

/** The fields of a resource that an operator can write, without its name, in canonical form. */
export type Fields = Readonly<Record<string, unknown>>;
export type Resources = ReadonlyMap<string, Fields>;

/** The file leaves an absent kind alone; an empty one has no resources. */
export type Wanted = Readonly<Partial<Record<ResourceKind, Resources>>>;
export type Present = Readonly<Record<ResourceKind, Resources>>;

/** An interface in `Fields`: absent addresses are assigned. */
export interface InterfaceFields {
  readonly name: string;
  readonly network: string;
  readonly mac?: string;
  readonly ips?: readonly string[];
  readonly allowedAddresses?: readonly { readonly ip: string }[];
}

/** Lines of an export (NDJSON), parsed. The first line of an export only describes it. */
export function presentOf(lines: Iterable<Fields>): Present {
  const present = { network: new Map(), host: new Map(), vm: new Map() };
  for (const { kind, name, ...fields } of lines) {
    if (kind === "network" || kind === "host" || kind === "vm") present[kind].set(name, fields);
  }
  return present;
}
