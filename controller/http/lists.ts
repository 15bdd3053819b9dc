// Lists in pages: query, cursor, and the link to the next page.
import type { FastifyReply, FastifyRequest } from "fastify";
import { AddressError, type IpAddress, type MacAddress, parseIp, parseMac } from "../../schema/address/index.ts";
import {
  maxSelectorLength,
  namePattern,
  parseSelector,
  type Selector,
  SelectorError,
} from "../../schema/plain/index.ts";
import { Name } from "../../schema/rest/index.ts";
import { type Static, Type } from "../../schema/typebox.ts";
import type { PageRequest } from "../inventory/page.ts";
import { maxLookedAt, type Position, type SortedPage } from "../inventory/sorted-page.ts";
import { RequestFormError } from "./validation.ts";

export const defaultPageLimit = 100;
export const maxPageLimit = 1_000;

const listQuery = {
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: maxPageLimit,
      default: defaultPageLimit,
      description: "Maximum number of items",
    }),
  ),
  cursor: Type.Optional(Type.String({ description: "`next` of the page before; opaque" })),
  name: Type.Optional(Type.String({ maxLength: 63, description: "Names with this prefix" })),
  total: Type.Optional(
    Type.Boolean({
      description: `true: the answer has \`total\`, unless more than ${maxLookedAt} would have to be looked at`,
    }),
  ),
  label: Type.Optional(
    Type.String({
      maxLength: maxSelectorLength,
      description: "Label selector: `key=value`, `key!=value`, `key`, `!key`; a comma means and",
      examples: ["tier=web,!retired"],
    }),
  ),
};
const networkFilter = {
  network: Type.Optional({ ...Name, description: "Only those in this network; 404 where there is none" }),
};
const hostFilter = {
  host: Type.Optional({ ...Name, description: "Only those on this host; 404 where there is none" }),
};

const addressFilters = {
  ip: Type.Optional(
    Type.String({ maxLength: 64, description: "Only VMs with this address, in any network", examples: ["10.20.1.11"] }),
  ),
  mac: Type.Optional(
    Type.String({
      maxLength: 64,
      description: "Only VMs with this MAC, in any network; with `ip`: one interface has both",
      examples: ["52:54:00:00:00:01"],
    }),
  ),
};

const conditionFilter = (also: string) => ({
  condition: Type.Optional(
    Type.String({ maxLength: 64, description: `Only those with a condition of this kind, or with \`any\`${also}` }),
  ),
});
const stateFilter = {
  state: Type.Optional(
    Type.Enum(["connected", "disconnected", "down"], { description: "Only those whose agent is, or that are marked" }),
  ),
};

/** What lists can be sorted by. */
export const sortKeys = {
  network: ["name", "vni", "revision"],
  host: ["name", "agent", "vms", "conditions", "lastSeen", "agentVersion", "vtep", "appliedRevision", "revision"],
  vm: ["name", "host", "network", "conditions", "revision"],
} as const;
export type SortKeyOf<K extends keyof typeof sortKeys> = (typeof sortKeys)[K][number];

const sortQuery = (keys: readonly string[]) => ({
  sort: Type.Optional(
    Type.Enum(keys.flatMap((key) => [key, `-${key}`]) as [string, ...string[]], {
      description: `Order; with \`-\` descending. Default: by name. At most ${maxLookedAt} can be sorted by anything else`,
    }),
  ),
});

const closed = { additionalProperties: false };

export const listQueries = {
  network: Type.Object({ ...listQuery, ...sortQuery(sortKeys.network), ...hostFilter }, closed),
  host: Type.Object(
    {
      ...listQuery,
      ...sortQuery(sortKeys.host),
      ...networkFilter,
      ...conditionFilter("; host-away: with VMs, and disconnected"),
      ...stateFilter,
    },
    closed,
  ),
  vm: Type.Object(
    {
      ...listQuery,
      ...sortQuery(sortKeys.vm),
      ...networkFilter,
      ...hostFilter,
      ...addressFilters,
      ...conditionFilter(""),
    },
    closed,
  ),
};

/** Of all lists together: those that a list does not have are refused by its schema. */
export type WrittenQuery = Static<typeof listQueries.vm> & Pick<Static<typeof listQueries.host>, "state">;

/** With canonical addresses and parsed label selectors. */
export interface ListQuery extends Omit<WrittenQuery, "label" | "ip" | "mac"> {
  readonly labels: Selector;
  readonly ip?: IpAddress;
  readonly mac?: MacAddress;
}

/** @throws RequestFormError */
export function readListQuery({ label, ip, mac, ...rest }: WrittenQuery): ListQuery {
  return {
    ...rest,
    labels: label === undefined ? [] : parseLabels(label),
    ...(ip === undefined ? {} : { ip: addressAt("/ip", () => parseIp(ip)) }),
    ...(mac === undefined ? {} : { mac: addressAt("/mac", () => parseMac(mac)) }),
  };
}

/** @throws RequestFormError */
export function pageRequestOf({ limit = defaultPageLimit, cursor, name: prefix = "", labels }: ListQuery): PageRequest {
  const after = cursor === undefined ? {} : { after: parseCursor(cursor) };
  return { ...after, prefix, limit, labels };
}

/** By anything but the name. @throws RequestFormError */
export function orderOf({ sort, cursor }: ListQuery): SortWanted | undefined {
  if (sort === undefined || sort === "name") return undefined;
  const key = sort.replace(/^-/, "");
  const wanted = { key, isDescending: sort.startsWith("-") };
  return cursor === undefined ? wanted : { ...wanted, after: parseSortedCursor(sort, cursor) };
}

interface SortWanted {
  readonly key: string;
  readonly isDescending: boolean;
  readonly after?: Position;
}

/** A page by name, or in another order. */
type AnyPage<T> = Pick<SortedPage<T>, "items" | "last" | "lastKey"> & { readonly total?: number | undefined };

/** The body, with the link to the next page in `next` and in `Link` (RFC 8288). */
export function answerPage<T, View>(
  request: FastifyRequest,
  reply: FastifyReply,
  plural: string,
  page: AnyPage<T>,
  view: (item: T) => View,
): object {
  const { last, lastKey, total } = page;
  const body = { [plural]: page.items.map(view), ...(total === undefined ? {} : { total }) };
  if (last === undefined) return body;
  const { sort = "name" } = request.query as WrittenQuery;
  const next = lastKey === undefined ? formatCursor(last) : formatSortedCursor(sort, { key: lastKey, name: last });
  const target = new URL(request.url, "http://localhost");
  target.searchParams.set("cursor", next);
  reply.header("link", `<${target.pathname}${target.search}>; rel="next"`);
  return { ...body, next };
}

/** The form of cursors, so that another may follow. */
const cursorVersion = "1";
const cursorText = new RegExp(`^${cursorVersion}:(${namePattern.slice(1, -1)})$`);

function formatCursor(name: string): string {
  return Buffer.from(`${cursorVersion}:${name}`).toString("base64url");
}

function parseCursor(cursor: string): string {
  const [, name] = cursorText.exec(Buffer.from(cursor, "base64url").toString()) ?? [];
  if (name !== undefined) return name;
  throw queryFault("/cursor", "is not a cursor of this list: start again without one");
}

const sortedCursorVersion = "2";

/** Names the order, too: another one would go on anywhere. */
function formatSortedCursor(sort: string, { key, name }: Position): string {
  return Buffer.from(`${sortedCursorVersion}:${JSON.stringify([sort, key, name])}`).toString("base64url");
}

function parseSortedCursor(sort: string, cursor: string): Position {
  const text = Buffer.from(cursor, "base64url").toString();
  try {
    const [ofSort, key, name] = JSON.parse(text.slice(sortedCursorVersion.length + 1)) as unknown[];
    const isKey = typeof key === "string" || typeof key === "number";
    if (text.startsWith(`${sortedCursorVersion}:`) && ofSort === sort && isKey && typeof name === "string")
      return { key, name };
  } catch {
    // Not even JSON.
  }
  throw queryFault("/cursor", "is not a cursor of this list in this order: start again without one");
}

function parseLabels(label: string) {
  try {
    return parseSelector(label);
  } catch (error) {
    throw error instanceof SelectorError ? queryFault("/label", error.message) : error;
  }
}

/** @throws RequestFormError where it throws AddressError */
export function addressAt<T>(pointer: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw error instanceof AddressError ? queryFault(pointer, error.message) : error;
  }
}

export function queryFault(pointer: string, detail: string): RequestFormError {
  return new RequestFormError([{ pointer, detail, in: "query" }]);
}
