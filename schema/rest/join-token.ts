// Enrolment as operators see it: join tokens, and the CAs that sign host certificates. `enrolment.ts` is what agents send.
import { caHashPattern, HostName } from "../agent/index.ts";
import { type Static, Type } from "../typebox.ts";

const closed = { additionalProperties: false } as const;

/** Body of POST /v1/hosts/{name}/join-token. */
export const JoinTokenInput = Type.Object(
  {
    ttlSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 7 * 86_400, description: "Default 3600" })),
  },
  { ...closed, title: "JoinTokenInput" },
);
export const JoinTokenView = Type.Object(
  {
    host: HostName,
    token: Type.String({ description: "Shown only once; valid for one enrolment of this host" }),
    expiresAt: Type.String({ format: "date-time" }),
    controller: Type.String({ description: "The controller's URL, as in its certificate" }),
    caHash: Type.Union([Type.String({ pattern: caHashPattern }), Type.Null()], {
      description: "SHA-256 of the CA certificate behind the controller's; null: a public CA",
    }),
    enrolled: Type.Boolean({
      description: "The host already has a certificate, which stays valid until it is revoked",
    }),
  },
  { ...closed, title: "JoinToken" },
);
export type JoinTokenView = Static<typeof JoinTokenView>;

/** Of GET /v1/authorities: a CA of the controller's own. */
export const AuthorityView = Type.Object(
  {
    id: Type.String(),
    issuing: Type.Boolean({ description: "Signs new certificates" }),
    hash: Type.String({ pattern: caHashPattern }),
    expires: Type.String({ format: "date-time" }),
    hosts: Type.Array(HostName, { description: "Hosts whose last certificate it has signed" }),
  },
  { ...closed, title: "Authority" },
);
export type AuthorityView = Static<typeof AuthorityView>;
