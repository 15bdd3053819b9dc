// For operators: liveness, readiness, metrics.
import { conditionText } from "../../schema/agent/index.ts";
import { Type } from "../../schema/typebox.ts";
import type { Metrics } from "../metrics.ts";
import type { OwnConditions } from "../observe/own-conditions.ts";
import type { Committer } from "../write/committer.ts";
import { CommitterStoppedError } from "../write/orders.ts";
import type { App } from "./app-types.ts";
import { described, problems } from "./responses.ts";
import { addRoutes, type Handler } from "./route-table.ts";

const tags = ["operations"];

export interface OperationDeps {
  readonly committer: Committer;
  readonly own: Pick<OwnConditions, "list">;
  readonly metrics: Metrics;
  /** Requests need no token. */
  readonly insecure: boolean;
}

export function operationRoutes(app: App, { committer, own, metrics, insecure }: OperationDeps): void {
  const getLiveness: Handler<typeof livenessSchema> = () => ({
    live: true as const,
    authentication: insecure ? ("none" as const) : ("token" as const),
  });

  const getReadiness: Handler<typeof readinessSchema> = () => {
    if (committer.stoppedBecause) throw new CommitterStoppedError(committer.stoppedBecause);
    const degraded = own.list().map(({ facts }) => conditionText(facts).reason);
    return { ready: true as const, revision: committer.revision, ...(degraded.length === 0 ? {} : { degraded }) };
  };

  const getMetrics: Handler<typeof metricsSchema> = async (_request, reply) => {
    reply.type(metrics.registry.contentType);
    return metrics.registry.metrics();
  };

  addRoutes(app, [
    { method: "GET", url: "/livez", access: "public", schema: livenessSchema, handler: getLiveness },
    { method: "GET", url: "/readyz", access: "public", schema: readinessSchema, handler: getReadiness },
    { method: "GET", url: "/metrics", access: "read-all", cost: "look", schema: metricsSchema, handler: getMetrics },
  ]);
}

const livenessSchema = {
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
};

const readinessSchema = {
  tags,
  operationId: "getReadiness",
  security: [],
  summary: "Readiness: the controller accepts changes",
  response: {
    200: described(
      "Ready",
      Type.Object({
        ready: Type.Literal(true),
        revision: Type.Integer(),
        degraded: Type.Optional(
          Type.Array(Type.String(), { description: "What is wrong with the controller itself, such as a full disk" }),
        ),
      }),
    ),
    ...problems("unavailable"),
  },
};

const metricsSchema = {
  tags,
  operationId: "getMetrics",
  summary: "Metrics for Prometheus",
  produces: ["text/plain"],
  response: { 200: Type.String({ description: "Prometheus text format" }), ...problems() },
};
