// The messages of the event stream and pages of the log as JSON Schema, for AsyncAPI and OpenAPI. Consumers
// ignore fields that they do not know.
import { HostView, NetworkView, RevisionNumber, VmView } from "../rest/index.ts";
import { type Static, type TProperties, type TSchema, Type } from "../typebox.ts";
import type { CloudEvent, ResourceKind } from "./log.ts";
import { operationalKinds, operationalType } from "./operational.ts";

const Time = Type.String({ format: "date-time", description: "RFC 3339, UTC" });
const Source = Type.String({
  pattern: "^/nearmiss/[0-9a-f-]{36}$",
  description: "`/nearmiss/<epoch>`: identifies the history that revisions belong to",
});

/** The resource as the log keeps it: without what REST adds about the present. */
function logged(title: string, { properties }: { readonly properties: TProperties }, present: readonly string[]) {
  const kept = Object.entries(properties).filter(([name]) => !present.includes(name));
  return Type.Object(Object.fromEntries(kept), { title });
}

const loggedShapes: Readonly<Record<ResourceKind, TSchema>> = {
  network: logged("LoggedNetwork", NetworkView, ["dryRun", "conditions"]),
  host: logged("LoggedHost", HostView, [
    "dryRun",
    "connected",
    "lastSeen",
    "appliedRevision",
    "problems",
    "conditions",
  ]),
  vm: logged("LoggedVm", VmView, ["dryRun", "hostConnected", "conditions", "ready", "notReady"]),
};

function changeShape(kind: ResourceKind) {
  const side = (description: string) => ({ anyOf: [loggedShapes[kind], { type: "null" }], description });
  const title = `${kind.charAt(0).toUpperCase()}${kind.slice(1)}Change`;
  return Type.Object(
    {
      specversion: Type.Literal("1.0"),
      id: Type.String({ pattern: "^\\d+\\.\\d+$", description: "`<revision>.<index>`: the position to resume from" }),
      source: Source,
      type: Type.Enum(["created", "updated", "deleted"].map((verb) => `nearmiss.${kind}.${verb}`)),
      subject: Type.String({ description: `\`${kind}s/<name>\`` }),
      time: Time,
      datacontenttype: Type.Literal("application/json"),
      dataschema: Type.String({ pattern: `^urn:nearmiss:event:${kind}:v\\d+$` }),
      revision: RevisionNumber,
      index: Type.Integer({ minimum: 0, description: "Position within the revision" }),
      data: Type.Object({
        before: Type.Unsafe(side("null: it was created")),
        after: Type.Unsafe(side("null: it was deleted")),
      }),
    },
    { title, description: `A ${kind} was created, updated or deleted.` },
  );
}

export const changeShapes = { network: changeShape("network"), host: changeShape("host"), vm: changeShape("vm") };

export const BookmarkShape = Type.Object(
  {
    specversion: Type.Literal("1.0"),
    id: Type.String({ pattern: "^\\d+$", description: "The revision: the position to resume from" }),
    source: Source,
    type: Type.Literal("nearmiss.bookmark"),
    time: Time,
    revision: RevisionNumber,
  },
  { title: "Bookmark", description: "Everything up to the end of this revision has been sent." },
);

export const OperationalShape = Type.Object(
  {
    specversion: Type.Literal("1.0"),
    id: Type.String(),
    source: Type.String({ description: "`/nearmiss/<epoch>/operational/<run>`" }),
    type: Type.Enum(operationalKinds.map(operationalType)),
    subject: Type.String({ description: "`hosts/<name>`" }),
    time: Time,
    datacontenttype: Type.Literal("application/json"),
    dataschema: Type.String(),
    operational: Type.Literal(true),
    run: Type.String(),
    sequence: Type.String({ description: "16 digits" }),
    data: Type.Object({
      host: Type.String(),
      network: Type.Optional(Type.String({ description: "Absent: it concerns the host" })),
      networkUid: Type.Optional(Type.String()),
      vni: Type.Optional(Type.Integer()),
      subject: Type.Optional(Type.String({ description: "The subject, such as an address" })),
      vm: Type.Optional(Type.String({ description: "Name of the VM that it is about" })),
      condition: Type.Optional(Type.String({ description: "Kind of the condition that began or ended" })),
      detail: Type.Optional(Type.String({ description: "For a person" })),
      count: Type.Integer({ description: "Number of occurrences" }),
      first: Time,
      last: Time,
    }),
  },
  {
    title: "OperationalEvent",
    description: "An operational event of a host. It has no revision and is never replayed.",
  },
);

const Resource = Type.Unsafe<Readonly<Record<string, unknown>> | null>({
  type: ["object", "null"],
  additionalProperties: true,
});

const LogEvent = Type.Object(
  {
    specversion: Type.Literal("1.0"),
    id: Type.String({ description: "`<revision>.<index>`" }),
    source: Type.String(),
    type: Type.String({ description: "Such as `nearmiss.vm.updated`" }),
    subject: Type.String({ description: "Such as `vms/web-1`" }),
    time: Type.String({ format: "date-time" }),
    datacontenttype: Type.Literal("application/json"),
    dataschema: Type.String(),
    revision: Type.Integer(),
    index: Type.Integer(),
    data: Type.Object({ before: Resource, after: Resource }),
  },
  { title: "LogEvent", description: "CloudEvents 1.0, as on /v1/events" },
);

export const LogView = Type.Object(
  {
    events: Type.Array(LogEvent, { description: "Newest first" }),
    next: Type.Optional(
      Type.String({
        description: "`before` for older changes; a page may have few events or none while there are more",
      }),
    ),
  },
  { title: "LogPage" },
);
/** What the schema says, by the types that events have elsewhere. */
export type LogView = Omit<Static<typeof LogView>, "events"> & { readonly events: readonly CloudEvent[] };
