// The handlers of the routes that every kind of resource has: they read through the caller's view and write by the committer.
import type { FastifyReply, FastifyRequest } from "fastify";
import { inSlices } from "../../common/cooperative.ts";
import type { ResourceKind, ResourceOf } from "../../schema/events/index.ts";
import type { InventoryView } from "../auth/view.ts";
import type { Mutation } from "../inventory/decide.ts";
import { type Listing, pageOf } from "../inventory/page.ts";
import { Refusal } from "../inventory/refusal.ts";
import { countOf, maxLookedAt, sortedPageOf } from "../inventory/sorted-page.ts";
import type { Committer } from "../write/committer.ts";
import { written } from "../write/orders.ts";
import { callerView } from "./caller.ts";
import { etagOf, isKnown, noteOutcome } from "./conditions.ts";
import {
  answerPage,
  type ListQuery,
  orderOf,
  pageRequestOf,
  queryFault,
  readListQuery,
  type WrittenQuery,
} from "./lists.ts";
import type { ResourceSchemas } from "./resource-schemas.ts";
import type { ResourceType } from "./resource-type.ts";
import type { Handler } from "./route-table.ts";
import { submit } from "./submit.ts";

/** Within which a page must be found, ms: a search of a million VMs takes seconds. */
const maxListMs = 30_000;

/**
 * A list of what is in a network, or on a host, that does not exist would look as if it were empty.
 * @throws Refusal in the same words where it is hidden
 */
function requireFilters(seen: InventoryView, { network, host }: { readonly network?: string; readonly host?: string }) {
  if (network !== undefined && !seen.findNetwork(network))
    throw new Refusal("not-found", `no network is named "${network}"`);
  if (host !== undefined && !seen.findHost(host)) throw new Refusal("not-found", `no host is named "${host}"`);
}

export class ResourceHandlers<K extends ResourceKind, Input, Patch> {
  constructor(
    private readonly type: ResourceType<K, Input, Patch>,
    private readonly committer: Committer,
  ) {}

  readonly list: Handler<ResourceSchemas["list"]> = async (request, reply) => {
    const { plural, reads } = this.type;
    const query = readListQuery(request.query as WrittenQuery);
    const pinned = this.committer.pin(maxListMs);
    try {
      const seen = callerView(request, pinned);
      requireFilters(seen, query);
      const listing: Listing<ResourceOf[K]> = {
        from: (name) => reads.list(seen, query, name),
        fits: (resource) => reads.fits(seen, resource, query),
      };
      const view = (resource: ResourceOf[K]) => reads.view(resource, seen);
      const order = orderOf(query);
      // A search without an index goes through all resources in slices, so that other requests are answered in between.
      if (order) {
        const { cursor, ...rest } = query;
        const keyOf = (resource: ResourceOf[K]) => reads.sortKey(seen, resource, order.key);
        const sorted = await inSlices(sortedPageOf(listing, pageRequestOf(rest), { ...order, keyOf }));
        if (!sorted)
          throw queryFault(
            "/sort",
            `more than ${maxLookedAt} would have to be sorted: search for fewer, or sort by name`,
          );
        return answerPage(request, reply, plural, sorted, view);
      }
      const wanted = pageRequestOf(query);
      const page = await inSlices(pageOf(listing, wanted));
      const total = query.total === true ? await this.total(seen, query, listing) : undefined;
      return answerPage(request, reply, plural, { ...page, total }, view);
    } finally {
      pinned.release();
    }
  };

  /** Without filters it is known. */
  private async total(seen: InventoryView, query: ListQuery, listing: Listing<ResourceOf[K]>) {
    const { limit, cursor, total, sort, labels, ...filters } = query;
    const isWhole = labels.length === 0 && Object.values(filters).every((each) => each === undefined || each === "");
    if (isWhole) return this.type.reads.count(seen);
    return inSlices(countOf(listing, pageRequestOf({ ...filters, labels })));
  }

  readonly get: Handler<ResourceSchemas["get"]> = (request, reply) => {
    const { noun, reads } = this.type;
    const { name } = request.params;
    const seen = this.seenBy(request);
    const resource = reads.find(seen, name);
    if (!resource) throw new Refusal("not-found", `no ${noun} is named "${name}"`);
    reply.header("etag", etagOf(resource.revision));
    if (isKnown(request, resource.revision)) return reply.code(304).send();
    return reads.view(resource, seen);
  };

  readonly create: Handler<ResourceSchemas["create"]> = async (request, reply) => {
    const body = request.body as Input & { readonly name: string };
    return this.write(request, reply, this.type.mutations.create(body.name, body));
  };

  readonly put: Handler<ResourceSchemas["put"]> = async (request, reply) =>
    this.write(request, reply, this.type.mutations.put(request.params.name, request.body as Input));

  readonly patch: Handler<ResourceSchemas["patch"]> = async (request, reply) =>
    this.write(request, reply, this.type.mutations.patch(request.params.name, request.body as Patch));

  readonly delete: Handler<ResourceSchemas["delete"]> = async (request, reply) => {
    const mutation = this.type.mutations.delete(request.params.name, request.query);
    noteOutcome(reply, await submit(this.committer, request, mutation));
    return reply.code(204).send(null);
  };

  private seenBy(request: FastifyRequest): InventoryView {
    return callerView(request, this.committer.current);
  }

  private async write(request: FastifyRequest, reply: FastifyReply, mutation: Mutation): Promise<object> {
    const { kind, plural, reads, writeOptions } = this.type;
    const outcome = await submit(this.committer, request, mutation);
    const { resource, created } = written(outcome, kind);
    noteOutcome(reply, outcome);
    if (!outcome.dryRun) reply.header("etag", etagOf(resource.revision));
    if (created) reply.code(201).header("location", `/v1/${plural}/${resource.name}`);
    return {
      ...(outcome.dryRun ? { dryRun: true } : await writeOptions?.answer(request, resource)),
      ...reads.view(resource, this.seenBy(request)),
    };
  }
}
