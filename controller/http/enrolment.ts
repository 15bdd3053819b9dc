// Issuing, renewing and revoking host certificates. The implementation is in `pki/enrolment.ts`.
import {
  CredentialsView,
  EnrolInput,
  enrolPath,
  InputError,
  JoinTokenInput,
  JoinTokenView,
  Name,
  parseVtep,
  RenewInput,
  renewPath,
  TrustView,
  trustPath,
  type VtepAddress,
} from "../../schema/index.ts";
import { Type } from "../../schema/typebox.ts";
import { Refusal } from "../inventory/refusal.ts";
import type { Certification } from "../pki/certification.ts";
import type { App } from "./app-types.ts";
import { actorOf } from "./caller.ts";
import { bodyProblems, described, noContent, problems, writeProblems } from "./responses.ts";
import { addRoutes, type Handler } from "./route-table.ts";

const tags = ["enrolment"];
const params = Type.Object({ name: Name });
const host = "/v1/hosts/:name";

/** @param certification absent: the controller runs without TLS */
export function enrolmentRoutes(app: App, certification: Certification | undefined): void {
  const open = (): Certification => {
    if (certification) return certification;
    throw new Refusal(
      "no-tls",
      "hosts enrol over TLS: start the controller with --tls self, or --tls-cert and --tls-key",
    );
  };

  const getTrust: Handler<typeof trustSchema> = () => ({ ca: open().enrolment.trust.ca });

  const addJoinToken: Handler<typeof joinTokenSchema> = async (request, reply) => {
    const { ttlSeconds } = request.body;
    const ttlMs = ttlSeconds === undefined ? undefined : ttlSeconds * 1_000;
    const token = await open().enrolment.createJoinToken(request.params.name, actorOf(request), ttlMs);
    return reply.code(201).header("cache-control", "no-store").send(token);
  };

  const revoke: Handler<typeof revokeSchema> = async (request, reply) => {
    await open().certificates.revoke(request.params.name, actorOf(request));
    return reply.code(204).send(null);
  };

  const enrol: Handler<typeof enrolSchema> = async ({ body: { token, csr, vtep }, ip }, reply) =>
    reply.code(201).send(await open().enrolment.enrol(token, csr, parseAgentVtep(vtep), ip));

  const renew: Handler<typeof renewSchema> = async ({ body, ip, raw }, reply) =>
    reply.code(201).send(await open().enrolment.renew(raw.socket, body.csr, ip));

  addRoutes(app, [
    { method: "GET", url: trustPath, access: "public", schema: trustSchema, handler: getTrust },
    {
      method: "POST",
      url: `${host}/join-token`,
      access: "write-all",
      schema: joinTokenSchema,
      handler: addJoinToken,
    },
    { method: "POST", url: `${host}/revoke`, access: "write-all", schema: revokeSchema, handler: revoke },
    { method: "POST", url: enrolPath, access: "public", schema: enrolSchema, handler: enrol },
    // The certificate may have expired, so it is judged there and not at the front door.
    { method: "POST", url: renewPath, access: "public", schema: renewSchema, handler: renew },
  ]);
}

const trustSchema = {
  tags,
  operationId: "getTrust",
  summary: "CA certificates to verify the controller's own certificate with",
  response: { 200: described("CA certificates", TrustView), ...problems("no-tls") },
};

const joinTokenSchema = {
  tags,
  operationId: "createJoinToken",
  summary: "Let a host enrol: create a token for one certificate; it replaces an unused earlier token of the host",
  params,
  body: JoinTokenInput,
  response: {
    201: described("The token, shown this once", JoinTokenView),
    ...problems("no-tls", ...bodyProblems, ...writeProblems),
  },
};

const revokeSchema = {
  tags,
  operationId: "revokeHost",
  summary: "Refuse every certificate and join token that the host has; its agent's session ends",
  params,
  response: { 204: noContent, ...problems("not-found", "no-tls", ...writeProblems) },
};

const enrolSchema = {
  tags,
  operationId: "enrol",
  summary: "A certificate for a join token",
  body: EnrolInput,
  response: {
    201: described("The certificate", CredentialsView),
    ...problems("no-tls", "unknown-reference", "address-taken", "mixed-underlay", ...bodyProblems, ...writeProblems),
  },
};

const renewSchema = {
  tags,
  operationId: "renewCertificate",
  summary: "Another certificate for the key that the client's certificate is for",
  body: RenewInput,
  response: {
    201: described("The certificate", CredentialsView),
    ...problems("no-tls", ...bodyProblems, ...writeProblems),
  },
};

/** @throws InputError */
function parseAgentVtep(text: string | undefined): VtepAddress | undefined {
  if (text === undefined) return undefined;
  try {
    return parseVtep(text);
  } catch (error) {
    throw new InputError([{ pointer: "/vtep", detail: error instanceof Error ? error.message : String(error) }]);
  }
}
