// Enrols with a join token and gets a certificate. The controller is verified before the token is sent: by the hash of its CA in
// the operator's line, or by a public CA.
import { X509Certificate } from "node:crypto";
import { defined } from "../../common/defined.ts";
import { parseVtep, type VtepAddress } from "../../schema/address/index.ts";
import {
  type Credentials,
  CredentialsView,
  caHash,
  enrolPath,
  findCaHash,
  splitPem,
  TrustView,
  trustPath,
} from "../../schema/agent/index.ts";
import { Check } from "../../schema/typebox.ts";
import { ask } from "./ask.ts";
import { makeHostKey, makeRequest } from "./request.ts";
import { type HostIdentity, type HostState, tokenHash } from "./state.ts";

export interface JoinLine {
  readonly controller: URL;
  readonly token: string;
  /** `sha256:…`; absent: the controller's certificate is a public CA's. */
  readonly caHash?: string;
  /** Absent: whatever host the token is for. */
  readonly host?: string;
  /** Registers the host where no operator has; default: the address that the controller is reached from. */
  readonly vtep?: VtepAddress;
}

/** The controller does not match the operator's line. No secret was sent. */
export class TrustError extends Error {
  override readonly name = "TrustError";
}

/** Stores the identity in `state`. @throws TrustError, RefusedError, StateError; another Error if no controller answers */
export async function enrol(line: JoinLine, state: HostState): Promise<HostIdentity> {
  const { controller, token } = line;
  const ca = line.caHash === undefined ? "" : await fetchTrust(controller, line.caHash);
  // From here on the connection is verified.
  const { localAddress } = await verified({ controller, path: trustPath, ca });
  const joined = tokenHash(token);
  const attempt = state.findAttempt();
  const key = attempt?.joined === joined ? attempt.key : makeHostKey();
  state.putAttempt({ joined, key });
  const csr = await makeRequest(key, line.host);
  const vtep = line.vtep ?? findVtep(localAddress);
  const body = { token, csr, ...defined({ vtep }) };
  const answer = await ask<Credentials>({ controller, path: enrolPath, ca, body });
  const credentials = checkCredentials(answer.body);
  const identity = { controller: controller.href, key, joined, ...credentials };
  await state.forgetNetworks();
  state.putIdentity(identity);
  state.dropAttempt();
  return identity;
}

/** The codes of OpenSSL's errors for a certificate of a CA that this machine does not trust. */
const unknownCa = [
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
];

/** @throws TrustError where it would fail for ever, since the line lacks the hash */
async function verified(request: { readonly controller: URL; readonly path: string; readonly ca: string }) {
  try {
    return await ask(request);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (request.ca !== "" || !unknownCa.includes(code)) throw error;
    throw new TrustError(
      `the certificate of ${request.controller.href} is not of a public CA, and --ca-hash is missing. The token was not sent. ` +
        "Copy the whole line that `nearmiss host add` printed, with its --ca-hash",
    );
  }
}

/** @throws Error for what is no answer of a controller's */
export function checkCredentials(value: unknown): Credentials {
  if (!Check(CredentialsView, value)) throw new Error("the controller's answer is not a valid certificate");
  new X509Certificate(value.certificate);
  return value;
}

/** The CA certificate with this hash, as PEM. @throws TrustError */
async function fetchTrust(controller: URL, hash: string): Promise<string> {
  const wanted = findCaHash(hash);
  const { body } = await ask<{ ca: string }>({ controller, path: trustPath, unchecked: true });
  if (!Check(TrustView, body)) throw new Error("the server that answered is not a nearmiss controller");
  const offered = splitPem(body.ca).map((pem) => ({ pem, hash: caHash(new X509Certificate(pem)) }));
  const found = offered.find((each) => each.hash === wanted);
  if (found) return found.pem;
  const shown = offered.map((each) => each.hash).join(", ") || "none";
  throw new TrustError(
    `the controller at ${controller.href} does not show the CA of --ca-hash ${hash} (but ${shown}). The token was not ` +
      "sent. Compare with `nearmiss ca list` on the controller: if they differ, another server answers at this address",
  );
}

/** Addresses that other hosts cannot reach are ignored. */
function findVtep(localAddress: string): VtepAddress | undefined {
  try {
    return parseVtep(localAddress.replace(/^::ffff:/, ""));
  } catch {
    return undefined;
  }
}
