// Every refusal that the REST API can give: RFC 9457 problem types with their status. The one table behind the
// controller's answers, OpenAPI and the documents.

export const problemTypes = {
  "invalid-input": { status: 400, title: "The request is not valid" },
  unauthenticated: { status: 401, title: "Authentication required" },
  "host-revoked": { status: 401, title: "The host's certificates were revoked" },
  forbidden: { status: 403, title: "The caller may not do this" },
  "quota-exceeded": { status: 403, title: "The caller's quota would be exceeded" },
  "not-found": { status: 404, title: "No such resource" },
  "method-not-allowed": { status: 405, title: "The resource has no such method" },
  "address-taken": { status: 409, title: "The address is already in use" },
  "port-conflict": { status: 409, title: "The interface cannot have this port or parent" },
  "name-taken": { status: 409, title: "The name is already in use" },
  "in-use": { status: 409, title: "The resource is still in use" },
  "mixed-underlay": { status: 409, title: "Hosts of one network must share an underlay address family" },
  "addresses-exhausted": { status: 409, title: "The network has no address left to assign" },
  "limit-exceeded": { status: 409, title: "A documented limit would be exceeded" },
  "no-tls": { status: 409, title: "The controller runs without TLS" },
  "host-down": { status: 409, title: "The host is marked down" },
  "migration-conflict": { status: 409, title: "The VM's migration does not allow this" },
  immutable: { status: 409, title: "The field cannot change while the resource is in use" },
  "precondition-failed": { status: 412, title: "A precondition of the request is not met" },
  "log-compacted": { status: 410, title: "The log no longer goes back that far" },
  "body-too-large": { status: 413, title: "The body is too large" },
  "unsupported-media-type": { status: 415, title: "The media type of the body is not supported" },
  "unknown-position": { status: 416, title: "The position is not in this log" },
  "import-refused": { status: 422, title: "Lines of the import are not valid; nothing was changed" },
  "unknown-reference": { status: 422, title: "The body names a resource that does not exist" },
  "idempotency-key-reused": { status: 422, title: "The idempotency key was used for another request" },
  "outside-subnets": { status: 422, title: "The address is outside the network's subnets" },
  "misdirected-request": { status: 421, title: "The controller is not known under that name" },
  "upgrade-required": { status: 426, title: "This path speaks WebSocket" },
  "too-many-requests": { status: 429, title: "Too many requests" },
  internal: { status: 500, title: "The controller failed" },
  unavailable: { status: 503, title: "The controller cannot answer now" },
  "storage-full": { status: 507, title: "The controller's disk is full" },
} as const satisfies Record<string, { status: number; title: string }>;

export type ProblemType = keyof typeof problemTypes;

export interface ProblemFault {
  readonly pointer: string;
  readonly detail: string;
  /** Absent: the body. */
  readonly in?: "path" | "query" | "header";
  /** Of an import: the line that the pointer is into, from 1. */
  readonly line?: number;
  /** Of an import: the problem type, where the line is refused for more than its form. */
  readonly type?: string;
}

/** Body of every 4xx and 5xx answer, `application/problem+json`. */
export interface ProblemDetails {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  /** Path of the request. */
  readonly instance?: string;
  /** For `invalid-input`: each fault with a JSON Pointer (RFC 6901) into the body, or into path, query or headers as an object. */
  readonly errors?: readonly ProblemFault[];
}

export function problemUri(type: ProblemType): string {
  return `urn:nearmiss:problem:${type}`;
}

export function problemDetails(
  type: ProblemType,
  detail: string,
  more: Pick<ProblemDetails, "instance" | "errors"> = {},
): ProblemDetails {
  return { type: problemUri(type), ...problemTypes[type], detail, ...more };
}
