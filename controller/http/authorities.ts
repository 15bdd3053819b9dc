// The controller's own CAs, for their rotation: add one, let it issue, remove the old. docs/enrolment.md walks through it.
import { AuthorityView, caHash } from "../../schema/index.ts";
import { type Static, Type } from "../../schema/typebox.ts";
import { Refusal } from "../inventory/refusal.ts";
import type { Authority } from "../pki/authorities.ts";
import type { Certification } from "../pki/certification.ts";
import type { App } from "./app-types.ts";
import { actorOf } from "./caller.ts";
import { described, forced, noContent, problems, writeProblems } from "./responses.ts";

const tags = ["authorities"];
const params = Type.Object({ id: Type.String({ pattern: "^[0-9a-f]{8}$" }) });
const removal = forced("Also if hosts have certificates of it");

/** @param certification absent: the controller runs without TLS */
export function authorityRoutes(app: App, certification: Certification | undefined): void {
  const open = (): Certification => {
    if (certification) return certification;
    throw new Refusal("no-tls", "there is no CA without TLS: start the controller with --tls self");
  };
  const view = ({ id, certificate }: Authority): Static<typeof AuthorityView> => {
    const { authorities, certificates } = open();
    const hosts = certificates.hostsOf(certificate).sort();
    const expires = new Date(certificate.validTo).toISOString();
    return { id, issuing: authorities.issuing.id === id, hash: caHash(certificate), expires, hosts };
  };

  app.get(
    "/v1/authorities",
    {
      config: { access: "admin" },
      schema: {
        tags,
        operationId: "listAuthorities",
        summary: "The controller's CAs, the issuing one first",
        response: {
          200: described("All", Type.Object({ authorities: Type.Array(AuthorityView) })),
          ...problems("no-tls"),
        },
      },
    },
    () => ({ authorities: open().authorities.list().map(view) }),
  );

  app.post(
    "/v1/authorities",
    {
      config: { access: "admin" },
      schema: {
        tags,
        operationId: "addAuthority",
        summary: "Create another CA, which all hosts are to trust and which does not issue yet",
        response: { 201: described("The new CA", AuthorityView), ...problems("no-tls", ...writeProblems) },
      },
    },
    async (request, reply) => {
      const { authorities, certificates } = open();
      const added = await authorities.add();
      await certificates.record(actorOf(request), `ca.added authorities/${added.id}`);
      return reply.code(201).send(view(added));
    },
  );

  app.post(
    "/v1/authorities/:id/issue",
    {
      config: { access: "admin" },
      schema: {
        tags,
        operationId: "issueFromAuthority",
        summary:
          "Let this CA issue: the controller's certificate at once, those of hosts when they renew, which they are asked to do now",
        params,
        response: { 200: described("The CA", AuthorityView), ...problems("not-found", "no-tls", ...writeProblems) },
      },
    },
    async (request) => {
      const { authorities, certificates } = open();
      const authority = authorities.issueFrom(request.params.id);
      await certificates.record(actorOf(request), `ca.issues authorities/${authority.id}`);
      return view(authority);
    },
  );

  app.delete(
    "/v1/authorities/:id",
    {
      config: { access: "admin" },
      schema: {
        tags,
        operationId: "removeAuthority",
        summary: "Stop trusting a CA",
        params,
        querystring: removal,
        response: { 204: noContent, ...problems("not-found", "in-use", "no-tls", ...writeProblems) },
      },
    },
    async (request, reply) => {
      const { authorities, certificates } = open();
      const { id } = request.params;
      const found = authorities.list().find((each) => each.id === id);
      const holders = found ? certificates.hostsOf(found.certificate).sort() : [];
      if (holders.length > 0 && request.query.force !== "true") {
        const some = holders.slice(0, 10).join(", ");
        throw new Refusal(
          "in-use",
          `${holders.length} hosts have certificates of CA ${id} (${some}): wait until they have renewed, revoke them, or force it`,
        );
      }
      authorities.remove(id);
      await certificates.record(actorOf(request), `ca.removed authorities/${id}`);
      return reply.code(204).send(null);
    },
  );
}
