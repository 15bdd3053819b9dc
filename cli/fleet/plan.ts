// Plans the steps from the state of the controller to the state of the file. Pure.
import type { ResourceKind } from "../../schema/events/index.ts";
import { changesWithin, type FieldChange } from "./changes.ts";
import { type Fields, type InterfaceFields, kinds, type Present, type Wanted } from "./fleet.ts";

interface Subject {
  readonly kind: ResourceKind;
  readonly name: string;
}
export type Step =
  | (Subject & { readonly action: "create"; readonly wanted: Fields })
  | (Subject & { readonly action: "update"; readonly wanted: Fields; readonly changes: readonly FieldChange[] })
  | (Subject & { readonly action: "delete" });

export interface Plan {
  readonly steps: readonly Step[];
  readonly unchanged: number;
  /** Exists, is of a kind that the file has, is not in the file, and is kept because --prune was not given. */
  readonly extra: readonly Subject[];
}

/** If a file omits these fields, they get their default; other omitted fields keep their values. */
const defaulted: Readonly<Record<ResourceKind, readonly string[]>> = {
  network: ["gateways", "reserved", "quarantineSeconds", "knowledge", "broadcast"],
  host: [],
  vm: [],
};

export function planFleet(wanted: Wanted, present: Present, { prune }: { readonly prune: boolean }): Plan {
  const steps: Step[] = [];
  const extra: Subject[] = [];
  let unchanged = 0;
  for (const kind of kinds) {
    const resources = wanted[kind];
    if (!resources) continue;
    for (const [name, fields] of resources) {
      const current = present[kind].get(name);
      const whole = current ? keepAssigned(fields, current) : fields;
      const changes = current ? changesOf(current, whole, defaulted[kind]) : [];
      if (!current) steps.push({ action: "create", kind, name, wanted: whole });
      else if (changes.length > 0) steps.push({ action: "update", kind, name, wanted: whole, changes });
      else unchanged += 1;
    }
    const gone = [...present[kind].keys()].filter((name) => !resources.has(name)).map((name) => ({ kind, name }));
    if (prune) steps.push(...gone.map((subject) => ({ action: "delete", ...subject }) as const));
    else extra.push(...gone);
  }
  return { steps, unchanged, extra };
}

/** A line of an import for each step (POST /v1/import). */
export function importLines(steps: readonly Step[]): Fields[] {
  return steps.map((step) => {
    const { kind, name } = step;
    return step.action === "delete" ? { kind, name, delete: true } : { kind, name, ...step.wanted };
  });
}

/**
 * An interface that names no MAC or IPs keeps those that it was given, as long as it is in the same network. What it has taken of its
 * allowed addresses is no difference: the file does not say which interface has them.
 */
function keepAssigned(wanted: Fields, current: Fields): Fields {
  if (!Array.isArray(wanted.interfaces)) return wanted;
  const held = interfacesOf(current);
  const interfaces = interfacesOf(wanted).map((each) => {
    const before = held.find(({ name }) => name === each.name);
    if (before?.network !== each.network) return each;
    const movable = new Set((each.allowedAddresses ?? []).map(({ ip }) => ip));
    const own = (each.ips ?? before?.ips)?.filter((ip) => !movable.has(ip));
    const taken = (before?.ips ?? []).filter((ip) => movable.has(ip));
    return { ...each, mac: each.mac ?? before?.mac, ips: own && [...own, ...taken] };
  });
  return { ...wanted, interfaces };
}

function interfacesOf({ interfaces }: Fields): readonly InterfaceFields[] {
  return (interfaces ?? []) as readonly InterfaceFields[];
}

function changesOf(current: Fields, wanted: Fields, defaults: readonly string[]): FieldChange[] {
  const fields = new Set([...Object.keys(wanted), ...defaults.filter((field) => field in current)]);
  return [...fields].flatMap((field) => changesWithin(field, current[field], wanted[field]));
}
