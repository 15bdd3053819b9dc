// A controller with TLS and a CA of its own, and hosts that get their certificates as agents do.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Logger, pino } from "pino";
import { onTestFinished } from "vitest";
import type { AppOptions } from "../../controller/app.ts";
import { pkiDirectory } from "../../controller/pki/authority-files.ts";
import { openTls } from "../../controller/pki/open-tls.ts";
import type { CertificateFiles } from "../../controller/pki/server-certificate.ts";
import { enrol } from "../../node-agent/identity/enrol.ts";
import { Renewal } from "../../node-agent/identity/renewal.ts";
import { type HostIdentity, HostState } from "../../node-agent/identity/state.ts";
import { agentPath } from "../../schema/agent/index.ts";
import type { JoinTokenView } from "../../schema/rest/index.ts";
import { AgentClient, startSecured, temporaryDatabase } from "../integration/harness.ts";

export const day = 86_400_000;
export const lifetimeMs = 30 * day;
export const graceMs = 10 * day;
const silent: Logger = pino({ level: "silent" });

/** The clock with which the controller dates and checks hosts' certificates. TLS itself uses the real one. */
export class Clock {
  private aheadMs = 0;
  readonly now = () => new Date(Date.now() + this.aheadMs);

  advance(ms: number): void {
    this.aheadMs += ms;
  }
}

/** The credentials of a request. */
export interface Shows {
  readonly token?: string;
  readonly identity?: Pick<HostIdentity, "certificate" | "key">;
}

export interface EnrollingOptions extends Partial<AppOptions> {
  /** Continues with this database. */
  readonly db?: string;
  /** The operator's certificate, with its CA, instead of one of the controller's own. */
  readonly files?: CertificateFiles & { readonly ca: string };
}

/** Runs until the test ends. Hosts a and b are registered, unless it continues with a database. */
export async function startEnrolling({ db: given, files, ...options }: EnrollingOptions = {}) {
  const db = given ?? temporaryDatabase();
  const clock = new Clock();
  const log = options.log ?? silent;
  const flags = { ...(files ? { files } : {}), names: [], certificateLifetimeMs: lifetimeMs, graceMs };
  const tls = await openTls({ db, listen: { host: "127.0.0.1", port: 0 }, tls: flags }, [], log);
  const { base, adminToken, fatal, stop } = await startSecured({
    db,
    tls: { ...tls, now: clock.now },
    door: { unknownPerSecond: 10_000 },
    ...options,
  });
  const admin: Shows = { token: adminToken };
  const trust = () => readFileSync(files?.ca ?? join(pkiDirectory(db), "ca.pem"), "utf8");
  const ask = (shows: Shows, method: string, path: string, body?: unknown) =>
    requestOverTls(base, trust(), shows, method, path, body);
  const controller = {
    base,
    url: new URL(`https://${base}`),
    db,
    clock,
    fatal,
    stop,
    trust,
    tls: tls.server,
    adminToken,
    ask,
    /** An admin's request. @returns the body. @throws Error where the answer is of another status */
    call: async (status: number, method: string, path: string, body?: unknown) => {
      const answer = await ask(admin, method, path, body);
      if (answer.status === status) return answer.body;
      throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}, expected ${status}`);
    },
    joinToken: (host: string, body: object = {}): Promise<JoinTokenView> =>
      controller.call(201, "POST", `/v1/hosts/${host}/join-token`, body),
    /** As the agent does it, with what `host add` prints. */
    enrol: async (host: string, state = temporaryState()): Promise<HostIdentity> =>
      enrolWith(await controller.joinToken(host), state),
    agent: (identity: HostIdentity, claimed = identity.host) => {
      const { certificate: cert, key } = identity;
      return new AgentClient(`wss://${base}${agentPath}`, claimed, { cert, key, ca: trust() });
    },
    /** The part of an agent that keeps its certificate fresh, by the controller's clock. Its timers end with the test. */
    renewal: (identity: HostIdentity, state = temporaryState(), agentLog = silent): Renewal => {
      const now = () => clock.now().getTime();
      const renewal = new Renewal(identity, {
        state,
        controller: controller.url,
        log: agentLog,
        now,
        random: () => 0,
      });
      onTestFinished(() => renewal.stop());
      return renewal;
    },
  };
  if (given !== undefined) return controller;
  await controller.call(201, "PUT", "/v1/networks/blue", { vni: 100, subnets: ["10.20.1.0/24"] });
  await controller.call(201, "PUT", "/v1/hosts/a", { vtep: "192.0.2.1" });
  await controller.call(201, "PUT", "/v1/hosts/b", { vtep: "192.0.2.2" });
  return controller;
}

/** As an agent that was started with that line. */
export function enrolWith(
  { token, caHash, controller }: JoinTokenView,
  state = temporaryState(),
): Promise<HostIdentity> {
  return enrol({ controller: new URL(controller), token, ...(caHash === null ? {} : { caHash }) }, state);
}

export type EnrollingController = Awaited<ReturnType<typeof startEnrolling>>;

export function temporaryState(): HostState {
  const directory = mkdtempSync(join(tmpdir(), "nearmiss-test-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return new HostState(directory);
}

/** One request over a separate connection; every status is an answer. */
function requestOverTls(base: string, ca: string, shows: Shows, method: string, path: string, body?: unknown) {
  const text = body === undefined ? "" : JSON.stringify(body);
  const content =
    body === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(text) };
  const bearer = shows.token === undefined ? {} : { authorization: `Bearer ${shows.token}` };
  const { certificate: cert, key } = shows.identity ?? {};
  return new Promise<{
    readonly status: number;
    readonly headers: Headers;
    readonly body: ReturnType<typeof JSON.parse>;
  }>((resolve, reject) => {
    const options = { method, headers: { ...content, ...bearer }, ca, cert, key, agent: false };
    const call = request(`https://${base}${path}`, options, (response) => {
      let received = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        received += chunk;
      });
      response.on("end", () => {
        const isJson = response.headers["content-type"]?.includes("json") ?? false;
        const headers = new Headers({ "content-type": response.headers["content-type"] ?? "" });
        resolve({ status: response.statusCode ?? 0, headers, body: isJson ? JSON.parse(received) : received });
      });
    });
    call.on("error", reject);
    call.end(text);
  });
}
