// The certificate that the server presents, kept up to date. Existing connections are not affected by a change.
import { constants } from "node:crypto";
import type { ServerOptions } from "node:https";
import type { SecureContextOptions, Server } from "node:tls";
import type { FastifyBaseLogger } from "fastify";
import { SerialQueue } from "../../common/serial-queue.ts";
import { formatListen, type ListenAddress } from "../listen-address.ts";
import type { Authorities } from "./authorities.ts";
import { type CertificateSource, type ServerCertificate, secureContextOptions } from "./server-certificate.ts";

/** Long timers overflow, and clocks are set: look again at least this often. */
const maxWaitMs = 3_600_000;
const retryMs = 10_000;
const handshakeMs = 10_000;

export interface ServerTlsDeps {
  readonly authorities: Authorities;
  readonly source: CertificateSource;
  /** Where agents reach the controller, as its certificate names it; port 0: the one that the server got. */
  readonly reachedAt: ListenAddress;
  readonly now: () => Date;
  readonly log: FastifyBaseLogger;
}

export class ServerTls {
  private readonly listeners = new Set<() => void>();
  private server: Server | undefined;
  private timer: NodeJS.Timeout | undefined;
  private readonly work = new SerialQueue();
  private closed = false;

  private constructor(
    private readonly deps: ServerTlsDeps,
    private shown: ServerCertificate,
  ) {
    deps.authorities.onChange(() => void this.refresh());
    this.schedule();
  }

  /** @throws PkiError if there is no usable certificate */
  static async open(deps: ServerTlsDeps): Promise<ServerTls> {
    const first = await deps.source();
    secureContextOptions(first, deps.authorities);
    return new ServerTls(deps, first);
  }

  get authorities(): Authorities {
    return this.deps.authorities;
  }

  get current(): ServerCertificate & { readonly url: string } {
    const { host, port } = this.deps.reachedAt;
    const bound = this.server?.address();
    const actual = port === 0 && bound && typeof bound === "object" ? bound.port : port;
    return { ...this.shown, url: `https://${formatListen({ host, port: actual })}` };
  }

  /**
   * A client certificate is requested but not required: operators have tokens. Certificates are checked per request.
   * Sessions are not resumed, because a resumed one would not show its certificate again.
   */
  get options(): ServerOptions {
    return { ...this.context(), requestCert: true, rejectUnauthorized: false, handshakeTimeout: handshakeMs };
  }

  /** The server to keep fresh. */
  attach(server: Server): void {
    this.server = server;
  }

  /** Called when the CA of the controller may have changed. */
  onChange(listener: () => void): void {
    this.listeners.add(listener);
  }

  /** Makes or reads the certificate again now. One that is wrong is reported, and the present one stays. */
  refresh(): Promise<void> {
    return this.work.run(() => this.renew());
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
  }

  private async renew(): Promise<void> {
    if (this.closed) return;
    try {
      const next = await this.deps.source();
      const options = secureContextOptions(next, this.deps.authorities);
      const isNew = next.certificate !== this.shown.certificate;
      this.shown = next;
      this.server?.setSecureContext({ ...options, ...hardening });
      if (isNew) this.deps.log.info("the controller uses a new certificate");
      for (const listener of this.listeners) listener();
      this.schedule();
    } catch (error) {
      this.deps.log.error(
        { err: error },
        "cannot make a new certificate for the controller: the current one stays in use",
      );
      this.schedule(retryMs);
    }
  }

  private schedule(minMs = 1_000): void {
    clearTimeout(this.timer);
    if (this.closed) return;
    const dueMs = this.shown.renewAt - this.deps.now().getTime();
    const isDue = dueMs <= maxWaitMs;
    this.timer = setTimeout(
      () => (isDue ? void this.refresh() : this.schedule()),
      Math.max(minMs, Math.min(dueMs, maxWaitMs)),
    ).unref();
  }

  private context(): SecureContextOptions {
    return { ...secureContextOptions(this.shown, this.deps.authorities), ...hardening };
  }
}

/**
 * With TLS 1.3 all suites are AEAD. With 1.2 those that are, with forward secrecy (RFC 9325 §4.2): no CBC, no RSA key exchange.
 * The list is of OpenSSL's names.
 */
export const cipherSuites = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
] as const;

/** Also of a context that takes the place of another: without resumption, and without renegotiation (RFC 9325 §3.5). */
const hardening = {
  minVersion: "TLSv1.2",
  ciphers: cipherSuites.join(":"),
  secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
} as const;
