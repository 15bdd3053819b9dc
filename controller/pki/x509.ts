// Making certificates: what is in them is decided here, for the CA, the controller and the hosts. Reading and checking
// them is Node's.
import "reflect-metadata"; // first: @peculiar/x509 asks for it as it loads
import { createPrivateKey, KeyObject, type webcrypto, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  type PublicKey,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { dayMs } from "../../common/duration.ts";
import { InputError } from "../../schema/rest/index.ts";
import { type HostSubject, hostUri } from "./subject.ts";

const ecdsa = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
/** SubjectPublicKeyInfo algorithms that a host may have: elliptic curve P-256, Ed25519. */
const hostKeyKinds: readonly (string | undefined)[] = ["prime256v1", "ed25519"];

export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

export interface Issuer {
  readonly certificate: X509Certificate;
  readonly key: KeyObject;
}

/** A certificate with its key, both in PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/**
 * Clocks differ, so a certificate is valid from before its creation: a day, or less if its lifetime is short. This is safe,
 * since the certificate did not exist then; a peer whose clock is behind would otherwise refuse it at first.
 */
export function validityFrom(now: Date, lifetimeMs: number): Validity {
  const earlierMs = Math.min(dayMs, lifetimeMs / 10);
  return { notBefore: new Date(now.getTime() - earlierMs), notAfter: new Date(now.getTime() + lifetimeMs) };
}

/** A self-signed CA that signs leaves only. `name` is its common name, and must differ from other CAs'. */
export async function makeCa(name: string, validity: Validity): Promise<KeyPair> {
  const keys = await crypto.subtle.generateKey(ecdsa, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    ...validity,
    name: [{ CN: [name] }],
    keys,
    signingAlgorithm: ecdsa,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pem(certificate), key: await pkcs8(keys.privateKey) };
}

/** @param names host names and IP addresses by which the controller is reached */
export async function issueServerCertificate(
  issuer: Issuer,
  names: readonly string[],
  validity: Validity,
): Promise<KeyPair> {
  const keys = await crypto.subtle.generateKey(ecdsa, true, ["sign", "verify"]);
  const certificate = await issue(issuer, {
    ...validity,
    subject: [{ CN: ["nearmiss controller"] }],
    publicKey: keys.publicKey,
    usage: ExtendedKeyUsage.serverAuth,
    names: names.map((name) => ({ type: isIP(name) ? ("ip" as const) : ("dns" as const), value: name })),
  });
  return { certificate, key: await pkcs8(keys.privateKey) };
}

/** Nothing but the public key is taken from the request. */
export function issueHostCertificate(
  issuer: Issuer,
  request: HostRequest,
  subject: HostSubject,
  validity: Validity,
): Promise<string> {
  return issue(issuer, {
    ...validity,
    subject: [{ O: ["nearmiss host"] }, { CN: [subject.host] }],
    publicKey: request.publicKey,
    usage: ExtendedKeyUsage.clientAuth,
    names: [{ type: "url", value: hostUri(subject) }],
  });
}

/** A request with a verified signature: its sender has the private key. */
export interface HostRequest {
  /** The subject's common name; undefined if there is none. */
  readonly name: string | undefined;
  readonly publicKey: PublicKey;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Buffer;
}

/** @throws InputError with the fault */
export async function readHostRequest(text: string): Promise<HostRequest> {
  const fail = (detail: string) => new InputError([{ pointer: "/csr", detail }]);
  let request: Pkcs10CertificateRequest;
  let signed: boolean;
  let key: KeyObject;
  try {
    request = new Pkcs10CertificateRequest(text);
    key = KeyObject.from(await request.publicKey.export());
    signed = await request.verify();
  } catch {
    throw fail("is not a certificate request in PEM with a supported type of key");
  }
  if (!hostKeyKinds.includes(key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType)) {
    throw fail("must be for a key of P-256 or Ed25519");
  }
  if (!signed) throw fail("is not signed by the key that it asks for");
  const [name] = request.subjectName.getField("CN");
  return { name, publicKey: request.publicKey, spki: key.export({ type: "spki", format: "der" }) };
}

interface Leaf extends Validity {
  readonly subject: Record<string, string[]>[];
  readonly publicKey: webcrypto.CryptoKey | PublicKey;
  readonly usage: ExtendedKeyUsage;
  readonly names: readonly { readonly type: "dns" | "ip" | "url"; readonly value: string }[];
}

async function issue(issuer: Issuer, leaf: Leaf): Promise<string> {
  const der = issuer.key.export({ type: "pkcs8", format: "der" });
  const signingKey = await crypto.subtle.importKey("pkcs8", der, ecdsa, false, ["sign"]);
  const certificate = await X509CertificateGenerator.create({
    subject: leaf.subject,
    issuer: issuer.certificate.subject.split("\n").reverse().join(", "),
    notBefore: leaf.notBefore,
    notAfter: leaf.notAfter,
    publicKey: leaf.publicKey,
    signingKey,
    signingAlgorithm: ecdsa,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([leaf.usage]),
      new SubjectAlternativeNameExtension([...leaf.names]),
      await SubjectKeyIdentifierExtension.create(leaf.publicKey),
      await AuthorityKeyIdentifierExtension.create(await issuerKey(issuer)),
    ],
  });
  return pem(certificate);
}

async function issuerKey({ certificate }: Issuer): Promise<webcrypto.CryptoKey> {
  const der = certificate.publicKey.export({ type: "spki", format: "der" });
  return crypto.subtle.importKey("spki", der, ecdsa, true, ["verify"]);
}

async function pkcs8(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await crypto.subtle.exportKey("pkcs8", key));
  return createPrivateKey({ key: der, format: "der", type: "pkcs8" })
    .export({ type: "pkcs8", format: "pem" })
    .toString();
}

function pem(certificate: { toString(format: "pem"): string }): string {
  return new X509Certificate(certificate.toString("pem")).toString();
}
