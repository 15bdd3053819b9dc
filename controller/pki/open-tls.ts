// Sets up the controller's TLS from its flags: certificate, names and URL.
import { hostname, networkInterfaces } from "node:os";
import type { FastifyBaseLogger } from "fastify";
import type { ControllerConfig, TlsConfig } from "../config-types.ts";
import type { ListenAddress } from "../listen-address.ts";
import { Authorities } from "./authorities.ts";
import { operatorsCertificate, ownCertificate } from "./server-certificate.ts";
import { ServerTls } from "./server-tls.ts";
import type { TlsOptions } from "./tls-options.ts";

/** Beside the database: CA keys that only their owner can read. */
export function pkiDirectory(db: string): string {
  return `${db}.pki`;
}

/** @throws PkiError with what to do about it */
export async function openTls(
  { db, listen, tls }: Pick<ControllerConfig, "db" | "listen"> & { readonly tls: TlsConfig },
  log: FastifyBaseLogger,
): Promise<TlsOptions> {
  const now = () => new Date();
  const authorities = await Authorities.open(pkiDirectory(db), now);
  const source = tls.files
    ? operatorsCertificate(tls.files, now)
    : ownCertificate(authorities, () => certificateNames(listen, tls.names), tls.certificateLifetimeMs, now);
  const reachedAt = reachableAt(listen, tls.names);
  const server = await ServerTls.open({ authorities, source, reachedAt, now, log });
  return { server, certificateLifetimeMs: tls.certificateLifetimeMs, graceMs: tls.graceMs, now };
}

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
