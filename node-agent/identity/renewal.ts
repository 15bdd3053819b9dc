// The current certificate, and its renewal in time. Existing sessions continue; the next connection uses the new one.
import { X509Certificate } from "node:crypto";
import type { Logger } from "pino";
import { type Credentials, renewalTime, renewPath } from "../../schema/index.ts";
import { ask } from "./ask.ts";
import { checkCredentials } from "./enrol.ts";
import { makeRequest } from "./request.ts";
import { type HostIdentity, type HostState, StateError } from "./state.ts";

/** Long timers overflow, and clocks are set: look again at least this often. */
const maxWaitMs = 3_600_000;
const minRetryMs = 1_000;
const maxRetryMs = 600_000;

export interface RenewalDeps {
  readonly state: HostState;
  /** From the agent's flags: it may differ from the stored one. */
  readonly controller: URL;
  readonly log: Logger;
  /** Wall clock, ms since 1970: what certificates are dated with. */
  readonly now: () => number;
  readonly random: () => number;
}

export class Renewal {
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | undefined;
  private stopped = false;

  constructor(
    private identity: HostIdentity,
    private readonly deps: RenewalDeps,
  ) {}

  /** Credentials of the next connection. */
  get current(): HostIdentity {
    return this.identity;
  }

  start(): void {
    this.schedule(renewalTime(this.certificate) - this.deps.now());
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  /** The controller sends the CAs to check it with, and those whose certificates it accepts. */
  onTrust({ ca, issuer }: { readonly ca: string; readonly issuer: string }): void {
    if (ca !== this.identity.ca) {
      this.keep({ ...this.identity, ca });
      this.deps.log.info("the controller's CA has changed: the new trust is stored on disk");
    }
    if (this.certificate.issuer !== issuer) void this.renew();
  }

  private get certificate(): X509Certificate {
    return new X509Certificate(this.identity.certificate);
  }

  private renew(): Promise<void> {
    this.running ??= this.tryRenew().finally(() => {
      this.running = undefined;
    });
    return this.running;
  }

  private async tryRenew(): Promise<void> {
    const { controller, log } = this.deps;
    try {
      const { ca, certificate, key, host } = this.identity;
      const body = { csr: await makeRequest(key, host) };
      const answer = await ask<Credentials>({ controller, path: renewPath, ca, certificate, key, body });
      const renewed = checkCredentials(answer.body);
      if (this.stopped) return;
      this.keep({ ...this.identity, certificate: renewed.certificate, ca: renewed.ca });
      log.info({ until: this.certificate.validTo }, "certificate renewed");
      this.start();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const leftMs = Date.parse(this.certificate.validTo) - this.deps.now();
      // Ten attempts in the remaining time, at random moments, so that a fleet does not connect all at once.
      const pauseMs = Math.min(maxRetryMs, Math.max(minRetryMs, leftMs / 10)) * (0.5 + this.deps.random());
      log.error({ reason, until: this.certificate.validTo }, "the certificate could not be renewed: retrying");
      this.schedule(pauseMs);
    }
  }

  /** If the disk fails, this run uses the new certificate, and the next one the previous. */
  private keep(identity: HostIdentity): void {
    this.identity = identity;
    try {
      this.deps.state.putIdentity(identity);
    } catch (error) {
      if (!(error instanceof StateError)) throw error;
      this.deps.log.error({ reason: error.message }, "the new certificate could not be stored on disk");
    }
  }

  private schedule(dueMs: number): void {
    if (this.stopped) return;
    clearTimeout(this.timer);
    const act = () => (dueMs > maxWaitMs ? this.start() : void this.renew());
    this.timer = setTimeout(act, Math.max(0, Math.min(dueMs, maxWaitMs)));
  }
}
