// Options of a request outside its body: preconditions (RFC 9110 §13), an idempotency key, a dry run.
import { createHash } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import { parseRevision, type Revision } from "../../schema/address/index.ts";
import { Type } from "../../schema/typebox.ts";
import type { Expectation } from "../inventory/expectation.ts";
import type { ReceiptRequest } from "../write/orders.ts";
import { RequestFormError } from "./validation.ts";

export const dryRunQuery = {
  dryRun: Type.Optional(
    Type.Boolean({ description: "true: check everything, answer as usual, and change nothing", default: false }),
  ),
};

/** Of GET on one resource. */
export const readHeaders = Type.Object({
  "if-none-match": Type.Optional(
    Type.String({ description: "ETags that the client has: 304 if one of them is current", examples: ['"7"'] }),
  ),
});

const ifMatch = Type.Optional(
  Type.String({
    description: "Change it only if one of these ETags is current, or with `*` only if it exists",
    examples: ['"7"'],
  }),
);
const ifNoneMatch = Type.Optional(Type.String({ description: "`*`: only if it does not exist", examples: ["*"] }));

export const changeHeaders = Type.Object({ "if-match": ifMatch });
export const putHeaders = Type.Object({ "if-match": ifMatch, "if-none-match": ifNoneMatch });
export const postHeaders = Type.Object({
  "idempotency-key": Type.Optional(
    Type.String({
      description:
        "A string of your own, such as a UUID. A request that is repeated with the same key is carried out only once",
      examples: ["8e03978e-40d5-43dd-bc93-6894a57f9324"],
    }),
  ),
});

export function etagOf(revision: Revision): string {
  return `"${revision}"`;
}

/** Whether the client has the resource at this revision already (RFC 9110 §13.1.2: weak comparison). */
export function isKnown({ headers }: FastifyRequest, revision: Revision): boolean {
  const tags = headers["if-none-match"];
  if (tags === undefined) return false;
  return tags.trim() === "*" || splitTags(tags).some((tag) => tag.replace(/^W\//, "") === etagOf(revision));
}

/** @throws RequestFormError */
export function expectationOf({ headers }: FastifyRequest): { expect?: Expectation } {
  const match = headers["if-match"];
  const noneMatch = headers["if-none-match"];
  if (noneMatch !== undefined) {
    if (match !== undefined) throw headerFault("if-none-match", "send If-Match or If-None-Match, not both");
    if (noneMatch.trim() === "*") return { expect: { kind: "absent" } };
    throw headerFault("if-none-match", 'must be * here; send If-Match: "<revision>" for what you have read');
  }
  if (match === undefined) return {};
  if (match.trim() === "*") return { expect: { kind: "present" } };
  return { expect: { kind: "at", revisions: splitTags(match).map(parseTag) } };
}

/** @throws RequestFormError if it is not a strong ETag of ours: a weak one never matches (RFC 9110 §13.1.1) */
function parseTag(tag: string): Revision {
  const [, digits] = /^"(\d{1,15})"$/.exec(tag) ?? [];
  if (digits !== undefined) return parseRevision(Number(digits));
  throw headerFault(
    "if-match",
    `${tag} is not an ETag of this API: send the value of the ETag header, such as "7" with its quotes`,
  );
}

function splitTags(text: string): string[] {
  return text.split(",").map((tag) => tag.trim());
}

const keyPattern = /^[\x21\x23-\x5b\x5d-\x7e]{1,255}$/;

/**
 * draft-ietf-httpapi-idempotency-key-header: a quoted string; without quotes it is taken as well. Keys of different
 * callers have nothing to do with each other.
 * @throws RequestFormError
 */
export function receiptOf(request: FastifyRequest, caller: string): { receipt?: ReceiptRequest } {
  const { headers, method, url, body } = request;
  const given = headers["idempotency-key"];
  if (given === undefined) return {};
  const key = String(given).replace(/^"(.*)"$/, "$1");
  if (!keyPattern.test(key)) {
    throw headerFault("idempotency-key", "must be 1 … 255 visible ASCII characters without quotes, such as a UUID");
  }
  const asked = JSON.stringify([method, url, sorted(body)]);
  return { receipt: { key: `${caller} ${key}`, fingerprint: createHash("sha256").update(asked).digest("base64url") } };
}

/** Objects with their keys in order: how a body is written does not matter. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, each]) => [key, sorted(each)]);
}

/** Says what kind of success it is, beside the body. */
export function noteOutcome(reply: FastifyReply, { dryRun, replayed }: { dryRun?: true; replayed?: true }): void {
  if (dryRun) reply.header("dry-run", "true");
  if (replayed) reply.header("idempotency-replayed", "true");
}

function headerFault(name: string, detail: string): RequestFormError {
  return new RequestFormError([{ pointer: `/${name}`, detail, in: "header" }]);
}
