// For operators: liveness, readiness, metrics.
import { Type } from "../../schema/typebox.ts";
import type { Metrics } from "../metrics.ts";
import type { Committer } from "../write/committer.ts";
import { CommitterStoppedError } from "../write/orders.ts";
import type { App } from "./app-types.ts";
import { described, problems } from "./responses.ts";

const tags = ["operations"];

export interface OperationDeps {
  readonly committer: Committer;
  readonly metrics: Metrics;
  /** Requests need no token. */
  readonly insecure: boolean;
}

export function operationRoutes(app: App, { committer, metrics, insecure }: OperationDeps): void {
  app.get(
    "/livez",
    {
      config: { access: "public" },
      schema: {
        tags,
        operationId: "getLiveness",
        security: [],
        summary: "Liveness: the process answers",
        response: {
          200: described(
            "Alive",
            Type.Object({
              live: Type.Literal(true),
              authentication: Type.Enum(["token", "none"], {
                description: "Whether requests need a token; none: the controller runs with --insecure",
              }),
            }),
          ),
          ...problems(),
        },
      },
    },
    () => ({ live: true as const, authentication: insecure ? ("none" as const) : ("token" as const) }),
  );

  app.get(
    "/readyz",
    {
      config: { access: "public" },
      schema: {
        tags,
        operationId: "getReadiness",
        security: [],
        summary: "Readiness: the controller accepts changes",
        response: {
          200: described("Ready", Type.Object({ ready: Type.Literal(true), revision: Type.Integer() })),
          ...problems("unavailable"),
        },
      },
    },
    () => {
      if (committer.stoppedBecause) throw new CommitterStoppedError(committer.stoppedBecause);
      return { ready: true as const, revision: committer.revision };
    },
  );

  app.get(
    "/metrics",
    {
      config: { access: "read-all", cost: "look" },
      schema: {
        tags,
        operationId: "getMetrics",
        summary: "Metrics for Prometheus",
        produces: ["text/plain"],
        response: { 200: Type.String({ description: "Prometheus text format" }), ...problems() },
      },
    },
    async (_request, reply) => {
      reply.type(metrics.registry.contentType);
      return metrics.registry.metrics();
    },
  );
}
