// fleet.yaml: reading, which reports all faults at once with their lines, and writing.
import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument } from "yaml";
import type { ResourceKind } from "../../schema/events/index.ts";
import { namePattern } from "../../schema/plain/index.ts";
import {
  explainFaults,
  HostPutInput,
  InputError,
  type InputFault,
  NetworkPutInput,
  parseHost,
  parseNetwork,
  parseVm,
  pointerToken,
  VmPutInput,
} from "../../schema/rest/index.ts";
import { Compile } from "../../schema/typebox.ts";
import { CliError } from "../errors.ts";
import { formatYaml } from "../output.ts";
import { plainDetail } from "../typed-fields.ts";
import { type Fields, kinds, type Present, plurals, type Wanted } from "./fleet.ts";

const checks = { network: Compile(NetworkPutInput), host: Compile(HostPutInput), vm: Compile(VmPutInput) };

/** So many faults are listed; of further ones only the number. */
const maxFaults = 20;

/** @param path for messages @throws CliError with status 2 naming every fault with its line */
export function parseFleet(text: string, path: string): Wanted {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  if (document.errors.length > 0) {
    throw refusal(document.errors.map(({ pos, message }) => `${at(path, lines, pos[0])} ${message}`));
  }
  const { wanted, faults } = readFleet(document.toJS());
  if (faults.length === 0) return wanted;
  const place = (pointer: string) => at(path, lines, offsetOf(document, pointer));
  throw refusal(
    faults.map(({ pointer, detail }) => `${place(pointer)} ${fieldOf(pointer) || "the file"} ${plainDetail(detail)}`),
  );
}

/** A file of a fleet, with the path for messages. */
export interface FleetFile {
  readonly path: string;
  readonly text: string;
}

export interface Fleet {
  readonly wanted: Wanted;
  /** Where a resource is, as path:line:column. */
  readonly placeOf: (kind: ResourceKind, name: string) => string | undefined;
}

/** Several files as one fleet. @throws CliError with status 2, also for a resource that is in two of them */
export function parseFleets(files: readonly FleetFile[]): Fleet {
  const wanted: Partial<Record<ResourceKind, Map<string, Fields>>> = {};
  const places = new Map<string, string>();
  const faults: string[] = [];
  for (const { path, text } of files) {
    const part = parseFleet(text, path);
    const lines = new LineCounter();
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
    for (const kind of kinds) {
      if (part[kind]) wanted[kind] ??= new Map();
      for (const [name, fields] of part[kind] ?? []) {
        const key = document.getIn([plurals[kind]], true);
        const pair = isMap(key)
          ? key.items.find((each) => isScalar(each.key) && String(each.key.value) === name)
          : undefined;
        const place = at(path, lines, isScalar(pair?.key) && pair.key.range ? pair.key.range[0] : 0);
        const other = places.get(`${kind} ${name}`);
        if (other !== undefined) faults.push(`${place} ${kind} ${name} is also at ${other}`);
        places.set(`${kind} ${name}`, place.slice(0, -1));
        wanted[kind]?.set(name, fields);
      }
    }
  }
  if (faults.length > 0) throw refusal(faults);
  return { wanted, placeOf: (kind, name) => places.get(`${kind} ${name}`) };
}

/** What `parseFleet` reads the same fleet from. Sections without resources are left out. */
export function formatFleet(present: Present): Promise<string> {
  const sections = kinds
    .filter((kind) => present[kind].size > 0)
    .map((kind) => [
      plurals[kind],
      Object.fromEntries([...present[kind]].map(([name, each]) => [name, written(each)])),
    ]);
  return formatYaml(Object.fromEntries(sections));
}

/** Without default values, and without fields that a file cannot have. */
function written({ origin, labels, description, ...fields }: Fields): Fields {
  const more = description === "" || description === undefined ? {} : { description };
  return { ...fields, ...(Object.keys(labels ?? {}).length === 0 ? {} : { labels }), ...more };
}

function readFleet(root: unknown): { readonly wanted: Wanted; readonly faults: readonly InputFault[] } {
  const wanted: Partial<Record<ResourceKind, Map<string, Fields>>> = {};
  const faults: InputFault[] = [];
  const sections = Object.values(plurals).join(", ");
  const object = (value: unknown, pointer: string, what: string): [string, unknown][] => {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return Object.entries(value);
    // `vms:` with nothing behind it is an empty section.
    if (value !== null || pointer === "") faults.push({ pointer, detail: `must be ${what}` });
    return [];
  };
  for (const [section, resources] of object(root, "", `an object with ${sections}`)) {
    const kind = kinds.find((each) => plurals[each] === section);
    if (!kind) {
      faults.push({ pointer: `/${pointerToken(section)}`, detail: `is not a valid section: use ${sections}` });
      continue;
    }
    const read = new Map<string, Fields>();
    for (const [name, input] of object(resources, `/${section}`, "an object with a resource under each name")) {
      const pointer = `/${section}/${pointerToken(name)}`;
      const resource = readResource(kind, name, input);
      if (Array.isArray(resource)) {
        faults.push(...resource.map((fault) => ({ ...fault, pointer: `${pointer}${fault.pointer}` })));
      } else read.set(name, resource as Fields);
    }
    wanted[kind] = read;
  }
  return { wanted, faults };
}

function readResource(kind: ResourceKind, name: string, input: unknown): Fields | InputFault[] {
  if (!new RegExp(namePattern).test(name)) {
    return [{ pointer: "", detail: "is not a valid name: 1 … 63 of letters, digits, '.', '_', '-'" }];
  }
  const check = checks[kind];
  if (!check.Check(input)) return explainFaults(check, input);
  try {
    const { name: _name, ...fields } = parse(kind, name, input);
    return fields;
  } catch (error) {
    if (error instanceof InputError) return [...error.faults];
    throw error;
  }
}

/** @throws InputError */
function parse(kind: ResourceKind, name: string, input: unknown) {
  if (kind === "network") return parseNetwork(name, input as NetworkPutInput);
  if (kind === "host") return parseHost(name, input as HostPutInput, "operator");
  return parseVm(name, input as VmPutInput);
}

/** The place of the field, or of the object that lacks it. */
function offsetOf(document: Document, pointer: string): number {
  const keys = pointer
    .split("/")
    .slice(1)
    .map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
  for (let length = keys.length; length >= 0; length--) {
    const node = document.getIn(keys.slice(0, length), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return 0;
}

/** The keys that lead to it, as they are in the file. */
function fieldOf(pointer: string): string {
  return pointer
    .split("/")
    .slice(1)
    .map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"))
    .join(".");
}

function at(path: string, lines: LineCounter, offset: number): string {
  const { line, col } = lines.linePos(offset);
  return `${path}:${line}:${col}:`;
}

function refusal(faults: readonly string[]): CliError {
  const rest = faults.length > maxFaults ? [`… ${faults.length} faults in all`] : [];
  return new CliError(
    ["the fleet is not valid, and nothing was sent:", ...faults.slice(0, maxFaults), ...rest].join("\n"),
    2,
  );
}
