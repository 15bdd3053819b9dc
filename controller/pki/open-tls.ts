// Sets up the controller's TLS from its flags: certificate, names and URL.
import { hostname, networkInterfaces } from "node:os";
import type { FastifyBaseLogger } from "fastify";
import type { ControllerConfig, TlsConfig } from "../config-types.ts";
import type { ListenAddress } from "../listen-address.ts";
import type { HostCredential } from "../store/credential-store.ts";
import { Authorities, PkiError } from "./authorities.ts";
import { pkiDirectory } from "./authority-files.ts";
import { operatorsCertificate, ownCertificate } from "./server-certificate.ts";
import { ServerTls } from "./server-tls.ts";
import type { TlsOptions } from "./tls-options.ts";

/**
 * @param credentials what hosts have had issued
 * @throws PkiError with what to do about it
 */
export async function openTls(
  { db, listen, tls }: Pick<ControllerConfig, "db" | "listen"> & { readonly tls: TlsConfig },
  credentials: readonly HostCredential[],
  log: FastifyBaseLogger,
): Promise<TlsOptions> {
  const now = () => new Date();
  const enrolled = credentials.filter(({ issued }) => issued !== null);
  const authorities = await Authorities.open(pkiDirectory(db), now, () => {
    if (!tls.newCa) refuseWithout(pkiDirectory(db), enrolled);
    if (enrolled.length > 0)
      log.warn({ hosts: enrolled.length }, "a new CA is made: each host that has a certificate needs a new join token");
  });
  const strangers = enrolled.filter(({ issued }) => issued && !authorities.isTrusted(issued.issuer));
  if (strangers.length > 0) {
    const hosts = strangers.slice(0, maxNamed).map(({ host }) => host);
    const text = "hosts have certificates of CAs that are not here: each needs a new join token (`nearmiss host add`)";
    log.warn({ count: strangers.length, hosts }, text);
  }
  const source = tls.files
    ? operatorsCertificate(tls.files, now)
    : ownCertificate(authorities, () => certificateNames(listen, tls.names), tls.certificateLifetimeMs, now);
  const reachedAt = reachableAt(listen, tls.names);
  const server = await ServerTls.open({ authorities, source, reachedAt, now, log });
  return { server, certificateLifetimeMs: tls.certificateLifetimeMs, graceMs: tls.graceMs, now };
}

/** @throws PkiError if the hosts could not connect with a CA that is new */
function refuseWithout(directory: string, enrolled: readonly HostCredential[]): void {
  const [first] = enrolled;
  if (!first) return;
  const hosts =
    enrolled.length === 1 ? `host ${first.host} has a certificate` : `${enrolled.length} hosts have certificates`;
  throw new PkiError(
    `${directory} has no CA, and ${hosts} of one: put the directory back, from where the database was before or from a backup ` +
      "(`nearmiss restore` does it). If it is lost, start once with --new-ca: then each host needs a new join token " +
      "(`nearmiss host add`)",
  );
}

/** Of hosts, in a line of the log. */
const maxNamed = 10;
const everywhere = ["0.0.0.0", "::"];

/** Where agents reach it: the first name, or the address that it listens on, or the first that this machine has. */
function reachableAt({ host, port }: ListenAddress, [name]: readonly string[]): ListenAddress {
  const address = everywhere.includes(host) ? (machineAddresses()[0] ?? hostname()) : host;
  return { host: name ?? address, port };
}

/** By all of these the controller may be reached; loopback, because commands run beside it. */
function certificateNames({ host }: ListenAddress, names: readonly string[]): string[] {
  const addresses = everywhere.includes(host) ? machineAddresses() : [host];
  return [...new Set([...names, ...addresses, hostname(), "localhost", "127.0.0.1", "::1"])];
}

function machineAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  return all.filter(({ internal, scopeid }) => !internal && !scopeid).map(({ address }) => address);
}
