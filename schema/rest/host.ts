// Hosts: shapes for REST bodies and answers, and the parsed form behind them.
import { defaultVtepPort, parseVtep, type VtepAddress } from "../address/index.ts";
import { type Static, Type } from "../typebox.ts";
import { conditionsField } from "./condition.ts";
import { Faults } from "./input.ts";
import { mergePatch } from "./merge-patch.ts";
import {
  closed,
  type Metadata,
  metadataInput,
  metadataPatch,
  metadataView,
  Name,
  nullable,
  parseMetadata,
  type Stored,
  writeNotes,
} from "./metadata.ts";

const Vtep = Type.String({
  description: "Underlay address of the host's tunnel endpoint",
  examples: ["192.0.2.1", "2001:db8::1"],
});
export const UdpPort = Type.Integer({
  minimum: 1,
  maximum: 65_535,
  description: `UDP port of the VTEP, default ${defaultVtepPort}`,
});

const Down = Type.Boolean({
  description:
    "Marks the host as dead or unreachable: no VM is placed on it, and no move waits for it. PUT without this field keeps the mark",
});

const hostInput = { vtep: Vtep, port: Type.Optional(UdpPort), down: Type.Optional(Down), ...metadataInput };
const example = { vtep: "192.0.2.1", labels: { rack: "r7" }, description: "left of the door" };

/** Body of POST /v1/hosts. */
export const HostInput = Type.Object(
  { name: Name, ...hostInput },
  { ...closed, title: "HostInput", examples: [{ name: "a", ...example }] },
);
/** Body of PUT /v1/hosts/{name}. */
export const HostPutInput = Type.Object(
  { name: Type.Optional(Name), ...hostInput },
  { ...closed, title: "HostPutInput", examples: [example] },
);
export type HostPutInput = Static<typeof HostPutInput>;
/** Body of PATCH /v1/hosts/{name}. */
export const HostPatch = Type.Object(
  {
    name: Type.Optional(Name),
    vtep: Type.Optional(Vtep),
    port: Type.Optional(nullable(UdpPort)),
    down: Type.Optional(Down),
    ...metadataPatch,
  },
  { ...closed, title: "HostPatch", examples: [{ vtep: "192.0.2.9" }, { down: true }] },
);
export type HostPatch = Static<typeof HostPatch>;
export const HostView = Type.Object(
  {
    name: Name,
    vtep: Vtep,
    port: UdpPort,
    origin: Type.Enum(["operator", "agent"], {
      description: "Who registered the host. What an operator set, an agent cannot change.",
    }),
    down: Type.Optional(Type.Boolean({ description: "The host is marked down; absent: it is not" })),
    ...metadataView,
    ...writeNotes,
    connected: Type.Boolean(),
    lastSeen: Type.Unsafe<string | null>({
      type: ["string", "null"],
      format: "date-time",
      description: "Last frame from the agent since the controller started",
    }),
    appliedRevision: Type.Unsafe<number | null>({
      type: ["integer", "null"],
      description: "The host's kernel has every change up to this revision that concerns it",
    }),
    vms: Type.Optional(
      Type.Integer({ description: "VMs that are registered on it; absent for a token that is limited to networks" }),
    ),
    agentVersion: Type.Optional(
      Type.String({ description: "Of the connected agent; absent for a token that is limited to networks" }),
    ),
    problems: Type.Array(Type.String(), {
      description: "The same as `conditions`, as sentences; empty for a limited token",
    }),
    ...conditionsField,
  },
  {
    ...closed,
    title: "Host",
    examples: [
      {
        name: "a",
        uid: "3e52ee55-3ce6-4288-9683-7476b34849f2",
        ...example,
        port: 4789,
        origin: "operator",
        revision: 1,
        connected: true,
        lastSeen: "2026-11-21T09:54:31.944Z",
        appliedRevision: 5,
        vms: 12,
        agentVersion: "0.1.0",
        problems: [],
      },
    ],
  },
);
export type HostView = Static<typeof HostView>;

/** Parsed, checked by itself, canonical. */
export interface HostSpec extends Metadata {
  readonly name: string;
  readonly vtep: VtepAddress;
  readonly port: number;
  readonly origin: "operator" | "agent";
  /** Marked down by an operator. Absent: of a resource that it is not, of a spec that it stays as it is. */
  readonly down?: boolean;
}
export type Host = HostSpec & Stored;

/** @throws InputError */
export function parseHost(name: string, input: HostPutInput, origin: HostSpec["origin"]): HostSpec {
  const faults = new Faults();
  faults.sameName(name, input.name);
  const vtep = faults.at("/vtep", () => parseVtep(input.vtep));
  const metadata = parseMetadata(input, faults);
  faults.throwIfAny();
  const { port = defaultVtepPort, down } = input;
  return { name, vtep: vtep as VtepAddress, port, origin, ...(down === undefined ? {} : { down }), ...metadata };
}

/** A patched VTEP counts as an operator's value from then on. @throws InputError about the resulting host */
export function patchHost({ uid, revision, origin, ...spec }: Host, patch: HostPatch): HostSpec {
  const isWord = patch.vtep !== undefined || patch.port !== undefined;
  return parseHost(spec.name, mergePatch(spec, patch) as HostPutInput, isWord ? "operator" : origin);
}
