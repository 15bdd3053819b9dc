// What a kind of resource says of itself, for the routes that all kinds have: `networks.ts`, `hosts.ts`, `vms.ts`.
import type { FastifyRequest } from "fastify";
import type { ResourceKind, ResourceOf } from "../../schema/events/index.ts";
import type { ProblemType } from "../../schema/plain/index.ts";
import type { TProperties, TSchema } from "../../schema/typebox.ts";
import type { Access } from "../auth/authorize.ts";
import type { InventoryView } from "../auth/view.ts";
import type { Mutation } from "../inventory/decide.ts";
import type { Candidate } from "../inventory/search.ts";
import type { SortKey } from "../inventory/sorted-page.ts";
import type { ListQuery } from "./lists.ts";

export interface ResourceType<K extends ResourceKind, Input, Patch> {
  readonly kind: K;
  /** In paths and lists. */
  readonly plural: string;
  /** In sentences. */
  readonly noun: string;
  readonly access: { readonly read: Access; readonly write: Access };
  readonly shapes: {
    readonly input: TSchema;
    readonly putInput: TSchema;
    readonly patch: TSchema;
    readonly view: TSchema;
    /** Query parameters of a deletion in addition to a dry run. */
    readonly deleteQuery?: TProperties;
  };
  /** Problems of creating or changing one, in addition to those of every write. */
  readonly problems: readonly ProblemType[];
  readonly mutations: {
    readonly create: (name: string, input: Input) => Mutation;
    readonly put: (name: string, input: Input) => Mutation;
    readonly patch: (name: string, patch: Patch) => Mutation;
    readonly delete: (name: string, query: object) => Mutation;
  };
  readonly reads: {
    readonly find: (seen: InventoryView, name: string) => ResourceOf[K] | undefined;
    /** In order, from a name on: all that fit, and maybe others. */
    readonly list: (seen: InventoryView, query: ListQuery, name: string) => Iterable<Candidate<ResourceOf[K]>>;
    readonly fits: (seen: InventoryView, resource: ResourceOf[K], query: ListQuery) => boolean;
    /** How many are seen. */
    readonly count: (seen: InventoryView) => number;
    /** @param key one of `sortKeys` */
    readonly sortKey: (seen: InventoryView, resource: ResourceOf[K], key: string) => SortKey;
    readonly view: (resource: ResourceOf[K], seen: InventoryView) => object;
  };
  /** Query parameters of a write in addition to a dry run, and the fields that they add to its answer. */
  readonly writeOptions?: {
    readonly query: TProperties;
    readonly answer: (request: FastifyRequest, resource: ResourceOf[K]) => Promise<object>;
  };
}
