// The controller's certificate, and the CA that clients verify it with: issued by its own CA, or from the operator's files.
// Both are renewed while the server runs; open connections keep their certificate.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import { caHash, renewalTime, splitPem } from "../../schema/agent/index.ts";
import { type Authorities, PkiError } from "./authorities.ts";
import { issueServerCertificate, type KeyPair, validityFrom } from "./x509.ts";

export interface ServerCertificate extends KeyPair {
  /** CA that clients verify it with, PEM; empty: a public CA. */
  readonly ca: string;
  /** Of the CA that has signed it, as `host add` prints it; null: a public CA. */
  readonly caHash: string | null;
  /** When to make or read it again, ms since 1970. */
  readonly renewAt: number;
}

export type CertificateSource = () => Promise<ServerCertificate>;

/** Files that change are seen within this time. */
const rereadMs = 60_000;

/** Signed by the controller's own CA, for the names that `names` gives at that time. */
export function ownCertificate(
  authorities: Authorities,
  names: () => readonly string[],
  lifetimeMs: number,
  now: () => Date,
): CertificateSource {
  return async () => {
    const issuer = authorities.issuing;
    const pair = await issueServerCertificate(issuer, names(), validityFrom(now(), lifetimeMs));
    const ca = authorities
      .list()
      .map(({ certificate }) => certificate.toString())
      .join("");
    const renewAt = renewalTime(new X509Certificate(pair.certificate));
    return { ...pair, ca, caHash: caHash(issuer.certificate), renewAt };
  };
}

export interface CertificateFiles {
  /** The certificate, and those between it and its CA. */
  readonly cert: string;
  readonly key: string;
  /** Absent: the last certificate of `cert` where it signs itself, a public CA otherwise. */
  readonly ca?: string;
}

/** @throws PkiError, from the source, with the file that is wrong */
export function operatorsCertificate(files: CertificateFiles, now: () => Date): CertificateSource {
  return async () => {
    const certificate = read(files.cert, "--tls-cert");
    const key = read(files.key, "--tls-key");
    const chain = parse(files.cert, certificate);
    const [leaf] = chain;
    if (!leaf) throw new PkiError(`--tls-cert ${files.cert} contains no certificate in PEM`);
    const fits = guard(files.key, () => leaf.checkPrivateKey(createPrivateKey(key)));
    if (!fits) throw new PkiError(`--tls-key ${files.key} is not the key of --tls-cert ${files.cert}`);
    if (Date.parse(leaf.validTo) <= now().getTime()) {
      throw new PkiError(`--tls-cert ${files.cert} has expired at ${leaf.validTo}: renew it`);
    }
    const roots = files.ca === undefined ? selfSigned(chain) : parse(files.ca, read(files.ca, "--tls-ca"));
    if (files.ca !== undefined && roots.length === 0)
      throw new PkiError(`--tls-ca ${files.ca} contains no certificate`);
    const last = chain.at(-1) ?? leaf;
    const root = roots.find((ca) => last.checkIssued(ca) && last.verify(ca.publicKey));
    if (roots.length > 0 && !root) {
      throw new PkiError(
        `--tls-ca ${files.ca} has not signed --tls-cert ${files.cert}: append the intermediate certificates`,
      );
    }
    return {
      certificate,
      key,
      ca: roots.map((ca) => ca.toString()).join(""),
      caHash: root ? caHash(root) : null,
      renewAt: now().getTime() + rereadMs,
    };
  };
}

/** For `tls.createServer` and `server.setSecureContext`. `authorities` are whose client certificates are asked for. */
export function secureContextOptions(server: ServerCertificate, authorities: Authorities): SecureContextOptions {
  const options: SecureContextOptions = {
    cert: server.certificate,
    key: server.key,
    ca: authorities.list().map(({ certificate }) => certificate.toString()),
    minVersion: "TLSv1.2",
  };
  createSecureContext(options); // throws before the running server is touched
  return options;
}

function selfSigned(chain: readonly X509Certificate[]): X509Certificate[] {
  return chain.filter((certificate) => certificate.checkIssued(certificate));
}

function read(path: string, flag: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new PkiError(`cannot read ${flag} ${path}: ${error instanceof Error ? error.message : error}`);
  }
}

function parse(path: string, text: string): X509Certificate[] {
  return splitPem(text).map((pem) => guard(path, () => new X509Certificate(pem)));
}

function guard<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw new PkiError(`${path} is damaged: ${error instanceof Error ? error.message : error}`);
  }
}
