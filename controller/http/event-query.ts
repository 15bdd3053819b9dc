// Query of an event consumer: the position to resume from, and filters.
import type { IncomingHttpHeaders } from "node:http";
import {
  changeTypes,
  coversType,
  cursorPattern,
  type EventCursor,
  findCursor,
  operationalKinds,
  operationalType,
} from "../../schema/events/index.ts";
import { Name, type NetworkScope } from "../../schema/rest/index.ts";
import { type Static, Type } from "../../schema/typebox.ts";
import { Lens } from "../events/lens.ts";
import { Refusal } from "../inventory/refusal.ts";
import { RequestFormError } from "./validation.ts";

const maxValues = 64;
const knownTypes: readonly string[] = [...changeTypes, ...operationalKinds.map(operationalType)];

const oneOrMore = (item: Type.TString, description: string) =>
  Type.Optional(
    Type.Union([item, Type.Array(item, { maxItems: maxValues })], {
      description: `${description}; may be repeated, and then one of them`,
    }),
  );

export const eventQuery = Type.Object(
  {
    since: Type.Optional(
      Type.String({
        pattern: cursorPattern,
        description:
          "First replay everything after this: a revision, or the `id` of the last event received, either with the epoch " +
          "and a slash in front. Absent: only events from now on",
        examples: ["0", "17", "17.3"],
      }),
    ),
    network: oneOrMore(Name, "Only changes of this network and of VMs in it, before or after"),
    host: oneOrMore(Name, "Only changes of this host and of VMs on it, before or after"),
    type: oneOrMore(
      Type.String({ pattern: "^[a-z.-]{1,100}$", examples: ["nearmiss.vm", "nearmiss.vm.deleted"] }),
      "Only events of this type, or of all types that begin with it and a dot",
    ),
  },
  { additionalProperties: false },
);
export type EventQuery = Static<typeof eventQuery>;

/** @throws RequestFormError for a type that no event has */
export function lensOf({ network, host, type }: EventQuery, scope: NetworkScope): Lens {
  const types = listOf(type);
  for (const wanted of types) {
    if (knownTypes.some((known) => coversType(wanted, known))) continue;
    const detail = `no event is of type "${wanted}": ${knownTypes.join(", ")}, or what some of these begin with`;
    throw new RequestFormError([{ pointer: "/type", detail, in: "query" }]);
  }
  return new Lens(scope, { networks: listOf(network), hosts: listOf(host), types });
}

/**
 * An EventSource sends the header when it reconnects: it is newer than the position in the URL.
 * @throws Refusal
 */
export function cursorOf({ since }: EventQuery, headers: IncomingHttpHeaders): EventCursor | undefined {
  const last = headers["last-event-id"];
  if (last === undefined || last === "") return since === undefined ? undefined : findCursor(since);
  const cursor = typeof last === "string" ? findCursor(last) : undefined;
  if (!cursor) throw new Refusal("invalid-input", "Last-Event-ID: send the id of an event of this stream, or none");
  return cursor;
}

function listOf(given: string | string[] | undefined): string[] {
  return given === undefined ? [] : [given].flat();
}
