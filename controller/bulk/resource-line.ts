// One resource as a line of NDJSON, for export and import. Pure.
import { safeParse } from "secure-json-parse";
import type { ResourceKind, ResourceOf } from "../../schema/events/index.ts";
import type { ProblemFault } from "../../schema/plain/index.ts";
import {
  explainFaults,
  HostInput,
  InputError,
  Name,
  NetworkInput,
  parseHost,
  parseNetwork,
  parseVm,
  VmInput,
} from "../../schema/rest/index.ts";
import { Compile, type Static, Type } from "../../schema/typebox.ts";
import type { Mutation } from "../inventory/decide.ts";

const closed = { additionalProperties: false } as const;

const NetworkLine = Type.Object(
  { kind: Type.Literal("network"), ...NetworkInput.properties, name: Name },
  { ...closed, title: "NetworkLine" },
);
const HostLine = Type.Object(
  {
    kind: Type.Literal("host"),
    ...HostInput.properties,
    name: Name,
    origin: Type.Optional(Type.Union([Type.Literal("operator"), Type.Literal("agent")])),
  },
  { ...closed, title: "HostLine" },
);
const VmLine = Type.Object(
  { kind: Type.Literal("vm"), ...VmInput.properties, name: Name },
  { ...closed, title: "VmLine" },
);
/** The first line of an export. */
export const ExportLine = Type.Object(
  {
    kind: Type.Literal("export"),
    version: Type.Literal(1, { description: "Of this format" }),
    revision: Type.Integer({ description: "The state that all lines are of" }),
    epoch: Type.String({ description: "The store that the revision is of" }),
  },
  { ...closed, title: "ExportLine" },
);
export type ExportLine = Static<typeof ExportLine>;

const DeletionLine = Type.Object(
  { kind: Type.Enum(["network", "host", "vm"]), name: Name, delete: Type.Literal(true) },
  { ...closed, title: "DeletionLine" },
);

/** For OpenAPI: any line of an export or import. */
export const AnyLine = Type.Union([ExportLine, NetworkLine, HostLine, VmLine, DeletionLine]);

const checks = {
  export: Compile(ExportLine),
  network: Compile(NetworkLine),
  host: Compile(HostLine),
  vm: Compile(VmLine),
  deletion: Compile(DeletionLine),
};

export type Parsed =
  | { readonly is: "mutation"; readonly kind: ResourceKind; readonly name: string; readonly mutation: Mutation }
  /** The head of an export: nothing to do. */
  | { readonly is: "head" }
  | { readonly is: "bad"; readonly faults: readonly ProblemFault[] };

export function parseLine(text: string): Parsed {
  const value: unknown = parseJson(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return bad("", "must be one JSON object, without __proto__ or constructor.prototype");
  }
  const kind = "kind" in value ? value.kind : undefined;
  if (kind !== "network" && kind !== "host" && kind !== "vm" && kind !== "export") {
    return bad("/kind", 'must be "network", "host" or "vm"');
  }
  const check = kind !== "export" && "delete" in value ? checks.deletion : checks[kind];
  if (!check.Check(value)) return { is: "bad", faults: explainFaults(check, value) };
  if (kind === "export") return { is: "head" };
  if ("delete" in value) {
    const { name } = value as Static<typeof DeletionLine>;
    return { is: "mutation", kind, name, mutation: { kind: `${kind}.delete`, name, ifPresent: true } };
  }
  try {
    return mutationOf(value as Static<typeof NetworkLine> | Static<typeof HostLine> | Static<typeof VmLine>);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { is: "bad", faults: error.faults };
  }
}

function parseJson(text: string): unknown {
  try {
    return safeParse(text);
  } catch {
    return undefined;
  }
}

function bad(pointer: string, detail: string): Parsed {
  return { is: "bad", faults: [{ pointer, detail }] };
}

/** @throws InputError */
function mutationOf(line: Static<typeof NetworkLine> | Static<typeof HostLine> | Static<typeof VmLine>): Parsed {
  const { name } = line;
  switch (line.kind) {
    case "network": {
      const { kind, ...input } = line;
      return { is: "mutation", kind, name, mutation: { kind: "network.put", spec: parseNetwork(name, input) } };
    }
    case "host": {
      const { kind, origin = "operator", ...input } = line;
      return { is: "mutation", kind, name, mutation: { kind: "host.put", spec: parseHost(name, input, origin) } };
    }
    case "vm": {
      const { kind, ...input } = line;
      return { is: "mutation", kind, name, mutation: { kind: "vm.put", spec: parseVm(name, input) } };
    }
  }
}

/**
 * The line that `parseLine` turns into the same resource. A migration in progress is not part of it: the VM is on its
 * present host. Nor is what the controller has chosen for `knowledge: auto`.
 */
export function lineOf<K extends ResourceKind>(kind: K, resource: ResourceOf[K]): string {
  const { uid: _uid, revision: _revision, ...written } = resource;
  return `${JSON.stringify({ kind, ...written, preparedHost: undefined, knowledgeChosen: undefined })}\n`;
}
