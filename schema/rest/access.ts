// Who may do what: roles, tokens and the audit trail, as REST shows them.
import { type Static, Type } from "../typebox.ts";
import { Name } from "./metadata.ts";

/** The possible roles of a token. Hosts have certificates instead. */
export const tokenRoles = ["admin", "operator", "viewer"] as const;
export type TokenRole = (typeof tokenRoles)[number];

/** The networks that a caller may see and change, by name: a network that is deleted and created again is the same. */
export type NetworkScope = "all" | ReadonlySet<string>;

/** On whose behalf something changes: written into the audit trail beside the change. */
export interface Actor {
  /** Such as `token 3f9a2c1b (ci)` or `host a`. */
  readonly name: string;
  readonly role: string;
  /** Of the peer; absent for actions on the controller's own machine. */
  readonly address?: string;
  /** The scope of the change. */
  readonly scope: NetworkScope;
  /** Where it may place VMs, by name; absent: on any host. */
  readonly hosts?: ReadonlySet<string>;
  /** Absent: no limit but those of everybody. */
  readonly quota?: Quota;
}

/** Default lifetime of a token. */
export const defaultTokenDays = 90;

/** RFC 3339 §5.6, as ms since 1970, or undefined: `Date.parse` alone accepts nearly any text. */
export function findTimeMs(text: string): number | undefined {
  const form = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;
  const ms = form.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms;
}

const closed = { additionalProperties: false } as const;
const Time = (description: string) => Type.String({ description: `${description}: RFC 3339, UTC` });

const Maximum = (description: string) =>
  Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000_000, description }));

/** Counts all resources in the token's networks, also those of others: each network separately, then added. */
const QuotaShape = Type.Object(
  {
    vms: Maximum("VMs with interfaces in its networks, or that belong to them without interfaces"),
    vmsPerHost: Maximum("The same on one host: a share of the VMs that a host may have"),
    addresses: Maximum("IP addresses of interfaces in its networks"),
    hosts: Maximum("Hosts that its networks are on, those of live migrations included"),
  },
  {
    title: "Quota",
    ...closed,
    description:
      "Maximum numbers of resources in the token's networks, including those that other tokens created. Each network is counted " +
      "separately and the numbers are added: a VM in two of them counts twice. Writes that reduce a number are never refused",
  },
);
export type Quota = Static<typeof QuotaShape>;

/** The use of each number that quotas limit. */
export const QuotaUse = Type.Object(
  { vms: Type.Integer(), addresses: Type.Integer(), hosts: Type.Integer() },
  { title: "QuotaUse" },
);
export type QuotaUse = Static<typeof QuotaUse>;

export const TokenInput = Type.Object(
  {
    role: Type.Enum([...tokenRoles], { description: "admin: everything; operator: changes; viewer: reads" }),
    networks: Type.Optional(
      Type.Array(Name, {
        minItems: 1,
        maxItems: 256,
        description: "Sees and changes only these, and VMs in them. Absent: all. Not for admins",
      }),
    ),
    hosts: Type.Optional(
      Type.Array(Name, {
        minItems: 1,
        maxItems: 1_024,
        description:
          "Places VMs only on these hosts, and sees them. Other hosts look as if they did not exist, except those that run VMs of its " +
          "networks. Absent: on any host. Only for operators with networks",
      }),
    ),
    quota: Type.Optional(QuotaShape),
    note: Type.Optional(
      Type.String({ maxLength: 100, pattern: "^[^\\p{Cc}]*$", description: "Its purpose, for people" }),
    ),
    expires: Type.Optional(
      Type.Union([Type.String({ maxLength: 40 }), Type.Null()], {
        description: `RFC 3339. Absent: ${defaultTokenDays} days from now; null: never`,
      }),
    ),
  },
  { title: "TokenInput", ...closed },
);
export type TokenInput = Static<typeof TokenInput>;

export const TokenView = Type.Object(
  {
    id: Type.String({ description: "Identifies the token; not secret" }),
    role: Type.Enum([...tokenRoles]),
    networks: Type.Union([Type.Array(Type.String()), Type.Null()], { description: "null: all" }),
    hosts: Type.Union([Type.Array(Type.String()), Type.Null()], { description: "null: places VMs on any host" }),
    quota: Type.Union([QuotaShape, Type.Null()], { description: "null: none" }),
    note: Type.String(),
    created: Time("When"),
    createdBy: Type.String({ description: "The caller that created it" }),
    expires: Type.Union([Time("Refused from then on"), Type.Null()], { description: "null: never" }),
    lastUsed: Type.Union([Time("To the minute"), Type.Null()]),
    token: Type.Optional(Type.String({ description: "The secret: only in the answer that created it" })),
  },
  { title: "Token" },
);
export type TokenView = Static<typeof TokenView>;

export const AuditView = Type.Object(
  {
    id: Type.Integer({ description: "Position in the trail, ascending" }),
    time: Time("When"),
    actor: Type.String({
      description: "The actor: a token by its id and note, a host, or a user of the controller's machine",
    }),
    role: Type.String(),
    address: Type.Union([Type.String(), Type.Null()], {
      description: "Source address; null: on the controller's machine",
    }),
    what: Type.Array(Type.String(), { description: "Such as `vm.updated vms/web-1`; of many, the first" }),
    changes: Type.Integer({ description: "Number of changes" }),
    revision: Type.Union([Type.Integer(), Type.Null()], { description: "null: not a change of the inventory" }),
  },
  { title: "AuditEntry" },
);
export type AuditView = Static<typeof AuditView>;
