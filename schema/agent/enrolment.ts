// Host certificates: REST messages between agents and the controller to issue and renew them.
import { createHash, type X509Certificate } from "node:crypto";
import { namePattern } from "../plain/index.ts";
import { type Static, Type } from "../typebox.ts";

export const trustPath = "/v1/ca";
export const enrolPath = "/v1/enrol";
export const renewPath = "/v1/renew";

const closed = { additionalProperties: false } as const;
export const HostName = Type.String({ pattern: namePattern });

const Pem = Type.String({ maxLength: 64 * 1024, description: "PEM (RFC 7468), one certificate or several" });
/** Far more than a request for an elliptic curve key needs. */
const Csr = Type.String({ maxLength: 4_096, description: "Certificate request (PKCS #10, RFC 2986) in PEM" });

export const caHashPattern = "^sha256:[0-9a-f]{64}$";

/** Answer of GET /v1/ca, without authentication: certificates are public. */
export const TrustView = Type.Object(
  { ca: Pem },
  { ...closed, title: "Trust", description: "CA certificates to verify the controller's own certificate with" },
);

/** Body of POST /v1/enrol. The name in the request's subject, if there is one, must be the token's host. */
export const EnrolInput = Type.Object(
  {
    token: Type.String({ maxLength: 128 }),
    csr: Csr,
    vtep: Type.Optional(Type.String({ description: "Registers the host if no operator has" })),
  },
  { ...closed, title: "EnrolInput" },
);
/** Body of POST /v1/renew, over a connection with the present certificate. */
export const RenewInput = Type.Object({ csr: Csr }, { ...closed, title: "RenewInput" });
export const CredentialsView = Type.Object(
  { host: HostName, certificate: Pem, ca: Pem },
  {
    ...closed,
    title: "Credentials",
    description: "A certificate for the agent, and the CA certificates to verify the controller's with",
  },
);
export type Credentials = Static<typeof CredentialsView>;

/** SHA-256 of the certificate's DER: what `openssl x509 -fingerprint -sha256` prints, in this form. */
export function caHash(certificate: X509Certificate): string {
  return `sha256:${createHash("sha256").update(certificate.raw).digest("hex")}`;
}

/** @returns lower case, or undefined if the text is not such a hash */
export function findCaHash(text: string): string | undefined {
  const lower = text.toLowerCase();
  return new RegExp(caHashPattern).test(lower) ? lower : undefined;
}

/** Each certificate of a text with several. Text between them is omitted. */
export function splitPem(text: string): string[] {
  return text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)?.map((pem) => `${pem}\n`) ?? [];
}

/** Part of a certificate's life, from its beginning, after which it is renewed. */
export const renewAfter = 2 / 3;

/** When a certificate is to be renewed, ms since 1970. */
export function renewalTime(certificate: X509Certificate): number {
  const from = Date.parse(certificate.validFrom);
  return from + (Date.parse(certificate.validTo) - from) * renewAfter;
}
