// The host's key, and the request for a certificate that proves that the host has it. The key never leaves the host.
import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";

const ecdsa = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/** PKCS #8 in PEM. */
export function makeHostKey(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

/** PKCS #10 in PEM. @param host undefined: the join token says which */
export async function makeRequest(keyPem: string, host: string | undefined): Promise<string> {
  // Not before it is needed: loading it was a quarter of an agent's start, and a host that has its certificate does without.
  await import("reflect-metadata"); // first: @peculiar/x509 asks for it as it loads
  const { Pkcs10CertificateRequestGenerator } = await import("@peculiar/x509");
  const privateKey = createPrivateKey(keyPem);
  const publicKey = createPublicKey(privateKey);
  const pkcs8 = privateKey.export({ type: "pkcs8", format: "der" });
  const spki = publicKey.export({ type: "spki", format: "der" });
  const keys = {
    privateKey: await crypto.subtle.importKey("pkcs8", pkcs8, ecdsa, false, ["sign"]),
    publicKey: await crypto.subtle.importKey("spki", spki, ecdsa, true, ["verify"]),
  };
  const name = host === undefined ? [] : [{ CN: [host] }];
  const request = await Pkcs10CertificateRequestGenerator.create({ name, keys, signingAlgorithm: ecdsa });
  return request.toString("pem");
}
