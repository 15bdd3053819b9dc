// Every error that leaves the controller over HTTP, as RFC 9457 problem details. Nothing of a stack gets into a body.
import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { defined } from "../../common/defined.ts";
import {
  type ProblemDetails,
  type ProblemFault,
  type ProblemType,
  problemDetails,
  problemTypes,
} from "../../schema/plain/index.ts";
import { InputError } from "../../schema/rest/index.ts";
import { ImportRefused } from "../bulk/import.ts";
import { BodyError } from "../bulk/lines.ts";
import { PinExpiredError } from "../inventory/pinned-inventory.ts";
import { Refusal } from "../inventory/refusal.ts";
import { StoreFullError, StoreUnavailableError } from "../store/store.ts";
import { CommitterBusyError, CommitterStoppedError } from "../write/orders.ts";
import type { MethodsByPath } from "./methods.ts";
import { RequestFormError } from "./validation.ts";

interface Problem {
  readonly type: ProblemType;
  readonly detail: string;
  readonly errors?: readonly ProblemFault[];
}

const byFastifyCode: Readonly<Record<string, ProblemType>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: "body-too-large",
  FST_ERR_CTP_INVALID_MEDIA_TYPE: "unsupported-media-type",
};

export function sendProblem(request: FastifyRequest, reply: FastifyReply, problem: Problem): FastifyReply {
  const { type, detail, errors } = problem;
  const instance = request.url.split("?")[0] ?? request.url;
  const body: ProblemDetails = problemDetails(type, detail, { instance, ...defined({ errors }) });
  if (type === "unavailable") reply.header("retry-after", "1");
  if (type === "unauthenticated") reply.header("www-authenticate", "Bearer");
  return reply.code(problemTypes[type].status).type("application/problem+json").send(JSON.stringify(body));
}

/** Fastify's error handler. */
export function handleError(error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = findProblem(error);
  if (problem) return sendProblem(request, reply, problem);
  request.log.error({ err: error }, "request failed");
  return sendProblem(request, reply, { type: "internal", detail: "the request failed; the controller's log says why" });
}

function findProblem(error: FastifyError | Error): Problem | undefined {
  if (error instanceof Refusal) return { type: error.type, detail: error.message };
  if (error instanceof InputError || error instanceof RequestFormError) {
    return { type: "invalid-input", detail: error.message, errors: error.faults };
  }
  if (error instanceof ImportRefused) return { type: "import-refused", detail: error.message, errors: error.faults };
  if (error instanceof BodyError) {
    return { type: error.reason === "too-large" ? "body-too-large" : "invalid-input", detail: error.message };
  }
  if (error instanceof StoreFullError) return { type: "storage-full", detail: "nothing was changed: free disk space" };
  if (error instanceof StoreUnavailableError) {
    return { type: "unavailable", detail: "nothing was changed: the database is locked by another process" };
  }
  if (error instanceof PinExpiredError) return { type: "unavailable", detail: error.message };
  if (error instanceof CommitterStoppedError || error instanceof CommitterBusyError)
    return { type: "unavailable", detail: error.message };
  if ("statusCode" in error && error.statusCode && error.statusCode < 500) {
    // Malformed JSON, an empty body, a bad content length, …: Fastify's own words are fit for the client.
    return { type: byFastifyCode[error.code] ?? "invalid-input", detail: error.message };
  }
  return undefined;
}

/** Fastify's handler for requests without a route: an unknown path, or a path without this method. */
export function handleUnrouted(methods: MethodsByPath) {
  return (request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const path = request.url.split("?")[0] ?? request.url;
    const allowed = methods.find(path);
    if (!allowed) return sendProblem(request, reply, { type: "not-found", detail: `nothing is at ${path}` });
    const allow = allowed.join(", ");
    reply.header("allow", allow);
    return sendProblem(request, reply, { type: "method-not-allowed", detail: `${path} has ${allow}` });
  };
}
