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
import type { Page, PageRequest } from "../inventory/page.ts";
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

const closed = { additionalProperties: false };

export const listQueries = {
  network: Type.Object({ ...listQuery, ...hostFilter }, closed),
  host: Type.Object({ ...listQuery, ...networkFilter }, closed),
  vm: Type.Object({ ...listQuery, ...networkFilter, ...hostFilter, ...addressFilters }, closed),
};

/** Of all lists together: those that a list does not have are refused by its schema. */
export type WrittenQuery = Static<typeof listQueries.vm>;

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

/** The body, with the link to the next page in `next` and in `Link` (RFC 8288). */
export function answerPage<T, View>(
  request: FastifyRequest,
  reply: FastifyReply,
  plural: string,
  page: Page<T>,
  view: (item: T) => View,
): object {
  const items = page.items.map(view);
  if (page.last === undefined) return { [plural]: items };
  const next = formatCursor(page.last);
  const target = new URL(request.url, "http://localhost");
  target.searchParams.set("cursor", next);
  reply.header("link", `<${target.pathname}${target.search}>; rel="next"`);
  return { [plural]: items, next };
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
