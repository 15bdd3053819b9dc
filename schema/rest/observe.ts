// Views of a running controller beyond the inventory: the caller's identity, the state, the holders, the past.
import { type Static, Type } from "../typebox.ts";

import { QuotaUse, TokenView } from "./access.ts";
import { ConditionView } from "./condition.ts";
import { Name, RevisionNumber } from "./metadata.ts";

const orNull = (schema: { readonly type: string }, description: string) => ({
  ...schema,
  type: [schema.type, "null"],
  description,
});

export const IdentityView = Type.Object(
  {
    name: Type.String({ description: "The same as in the audit trail" }),
    role: Type.Enum(["admin", "operator", "viewer", "host", "anyone"], {
      description: "host: by its certificate; anyone: the controller runs with --insecure",
    }),
    expires: Type.Union([Type.String({ format: "date-time" }), Type.Null()], {
      description: "End of the token or certificate; null: never, or none was shown",
    }),
    networks: Type.Union([Type.Array(Type.String()), Type.Null()], {
      description: "Sees and changes these; null: all",
    }),
    hosts: Type.Union([Type.Array(Type.String()), Type.Null()], {
      description: "Places VMs on these; null: on any host",
    }),
    quota: Type.Union([TokenView.properties.quota, Type.Null()], { description: "null: none" }),
    used: Type.Union([QuotaUse, Type.Null()], {
      description: "Current numbers that a quota counts; null: the caller is not limited to networks",
    }),
    version: Type.String({ description: "The controller's" }),
    epoch: Type.String({ description: "Names the store: revisions compare within one epoch only" }),
  },
  { title: "Identity" },
);
export type IdentityView = Static<typeof IdentityView>;

const Concern = Type.Object(
  {
    kind: Type.Enum(["host-away", "host-problem"], {
      description: "host-away: VMs are registered on it and no agent is connected; host-problem: any other condition",
    }),
    host: Name,
    detail: Type.String({ description: "For a person" }),
  },
  { title: "Concern" },
);

const AgentVersion = Type.Object({ version: Type.String(), hosts: Type.Integer() }, { title: "AgentVersion" });

/** In one overview, at most. */
export const maxConcerns = 100;

export const OverviewView = Type.Object(
  {
    revision: RevisionNumber,
    networks: Type.Integer(),
    hosts: Type.Integer(),
    hostsConnected: Type.Integer(),
    hostsDown: Type.Integer({ description: "Marked down" }),
    hostsWithProblems: Type.Integer({
      description: "Whose agents report problems; 0 for a token that is limited to networks, which does not see them",
    }),
    vms: Type.Integer(),
    version: Type.String({ description: "The controller's" }),
    epoch: Type.String({ description: "Names the store: revisions compare within one epoch only" }),
    uptimeSeconds: Type.Integer({ description: "Since the start of the controller, by its own clock" }),
    ready: Type.Boolean({ description: "false: it answers from memory, and accepts no change; /readyz says why" }),
    agentVersions: Type.Array(AgentVersion, {
      description: "Of connected agents, by version; empty for a token that is limited to networks",
    }),
    conditions: Type.Array(ConditionView, {
      description: `The first ${maxConcerns} of \`/v1/conditions\`: the severe ones first`,
    }),
    concerns: Type.Array(Concern, {
      description: `Those of hosts among \`conditions\`, in the form of version 0.1`,
    }),
    concernCount: Type.Integer({ description: "Number of conditions" }),
  },
  { title: "Overview" },
);
export type OverviewView = Static<typeof OverviewView>;

const gaps = (description: string) =>
  Type.Unsafe<(number | null)[]>({ type: "array", items: { type: ["number", "null"] }, description });

export const RatesView = Type.Object(
  {
    until: Type.String({ format: "date-time", description: "End of the last step" }),
    stepMs: Type.Integer({ description: "Length of a step, ms" }),
    known: gaps(
      "Questions of agents per second that were answered with a binding, by step, oldest first; null: before the controller's start, " +
        "where the request names a range",
    ),
    unknown: gaps("Those that were answered with: nothing is registered there; null: as in `known`"),
    meanMs: gaps("From reading a frame of questions to sending its answers, ms; null: there were none"),
    slowestMs: gaps("The slowest of the step, ms"),
    programmedMeanMs: gaps(
      "From reading a miss on its host to its entries in the kernel, ms, in the step in which the agent reported it; null: none ended",
    ),
    programmedSlowestMs: gaps("The slowest of those, ms"),
  },
  { title: "Rates" },
);
export type RatesView = Static<typeof RatesView>;

const MapHost = Type.Object(
  {
    name: Name,
    connected: Type.Boolean(),
    vms: Type.Integer({
      description: "VMs on the host that the caller may see; with `network`, only those in it",
    }),
  },
  { title: "MapHost" },
);

export const TopologyView = Type.Object(
  {
    revision: RevisionNumber,
    asOf: Type.String({
      format: "date-time",
      description: "Tunnels are those that were in use then, of hosts that are connected",
    }),
    hosts: Type.Array(MapHost, { description: "Sorted by name" }),
    tunnels: Type.Array(Type.Array(Type.Integer(), { minItems: 3, maxItems: 3 }), {
      description:
        "[from, to, MACs]: the host at `from` in `hosts` forwards to so many MACs behind the host at `to`. In this short " +
        "form because there can be hosts × hosts of them",
    }),
  },
  { title: "Topology" },
);
export type TopologyView = Static<typeof TopologyView>;

const Holder = Type.Object(
  {
    host: Name,
    local: Type.Boolean({ description: "The VM runs here" }),
    connected: Type.Boolean(),
    appliedRevision: Type.Unsafe<number | null>(
      orNull(
        { type: "integer" },
        "The host's kernel has every change up to this revision; null: not reported since the controller started",
      ),
    ),
    current: Type.Boolean({ description: "It has confirmed the current state of the VM" }),
    addresses: Type.Array(Type.String(), { description: "Addresses of the VM that the host was informed of" }),
    asOf: Type.Unsafe<string | null>({
      type: ["string", "null"],
      format: "date-time",
      description:
        "As of when that is known: agents report a second late what their kernels use of networks in memory. Of a disconnected host, when " +
        "it was last heard; null: not since the controller started",
    }),
  },
  { title: "Holder" },
);

export const HoldersView = Type.Object(
  {
    revision: { ...RevisionNumber, description: "Of the VM" },
    holders: Type.Array(Holder, { description: "The VM's own host first, then sorted by name" }),
  },
  { title: "Holders" },
);
export type HoldersView = Static<typeof HoldersView>;
