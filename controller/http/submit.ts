// Submits a request's mutation to the committer, with the request's options.
import type { FastifyRequest } from "fastify";
import type { Mutation } from "../inventory/decide.ts";
import type { Committer } from "../write/committer.ts";
import type { Outcome } from "../write/orders.ts";
import { actorOf } from "./caller.ts";
import { expectationOf, receiptOf } from "./conditions.ts";

/** @throws RequestFormError, and as `Committer.mutate` */
export function submit(committer: Committer, request: FastifyRequest, mutation: Mutation): Promise<Outcome> {
  const by = actorOf(request);
  const { dryRun = false } = request.query as { dryRun?: boolean };
  const receipt = request.method === "POST" && !dryRun ? receiptOf(request, by.name) : {};
  return committer.submit(by, { mutations: [{ ...mutation, ...expectationOf(request) }], dryRun, ...receipt });
}
