// The controller without a process around it: everything is built here, and nothing listens.
import type { Socket } from "node:net";
import type { Server as TlsServer } from "node:tls";
import websocket from "@fastify/websocket";
import Fastify, { type FastifyBaseLogger } from "fastify";
import { defined } from "../common/defined.ts";
import { closeCodes, heartbeatMs, maxFrameBytes } from "../schema/agent/index.ts";
import { cloudEventsProtocol } from "../schema/plain/index.ts";
import { AgentChannel } from "./agents/agent-channel.ts";
import type { Allowance } from "./agents/host-allowance.ts";
import { Connections, type Refused } from "./auth/connections.ts";
import { connectionsFor } from "./auth/descriptors.ts";
import { type DoorLimits, defaultDoorLimits } from "./auth/front-door.ts";
import { type Handshakes, noHandshakes, paceHandshakes } from "./auth/handshakes.ts";
import { registerFrontDoor } from "./auth/hook.ts";
import { HostSources } from "./auth/host-sources.ts";
import type { CertifiedHost } from "./auth/identity.ts";
import { RefusalLog } from "./auth/refusals.ts";
import { TokenRegistry } from "./auth/token-registry.ts";
import { letUpgradesTakeTurns } from "./auth/upgrade-turns.ts";
import { defaultUploadLimits, type UploadLimits, Uploads } from "./bulk/uploads.ts";
import { Compactor, defaultRetention, type LogRetention } from "./events/compactor.ts";
import { EventHub, type HubLimits } from "./events/hub.ts";
import { OperationalEvents } from "./events/operational-events.ts";
import { agentRoutes } from "./http/agent.ts";
import type { App } from "./http/app-types.ts";
import { asyncApiRoutes } from "./http/asyncapi.ts";
import { auditRoutes } from "./http/audit.ts";
import { authorityRoutes } from "./http/authorities.ts";
import { bulkRoutes } from "./http/bulk.ts";
import { dashboardRoutes } from "./http/dashboard.ts";
import { enrolmentRoutes } from "./http/enrolment.ts";
import { evacuationRoutes } from "./http/evacuation.ts";
import { eventRoutes } from "./http/events.ts";
import { groupRoutes } from "./http/groups.ts";
import { hostRoutes } from "./http/hosts.ts";
import { logRoutes } from "./http/log.ts";
import { MethodsByPath } from "./http/methods.ts";
import { moveRoutes } from "./http/moves.ts";
import { networkRoutes } from "./http/networks.ts";
import { observeRoutes } from "./http/observe.ts";
import { openApiRoutes, registerDocsPage, registerOpenApi } from "./http/openapi.ts";
import { operationalEventRoutes } from "./http/operational-events.ts";
import { operationRoutes } from "./http/operations.ts";
import { countConditions, presentConditionRoutes } from "./http/present-conditions.ts";
import { handleError, handleUnrouted } from "./http/problems.ts";
import { resolveRoutes } from "./http/resolve.ts";
import { registerSecurityHeaders } from "./http/security-headers.ts";
import { thawRoutes } from "./http/thaw.ts";
import { tokenRoutes } from "./http/tokens.ts";
import { topologyRoutes } from "./http/topology.ts";
import { compileValidator } from "./http/validation.ts";
import { vmRoutes } from "./http/vms.ts";
import { Metrics } from "./metrics.ts";
import { type ExpectedBackups, OwnConditions } from "./observe/own-conditions.ts";
import { Rates } from "./observe/rates.ts";
import { endingOf, openCertification } from "./pki/certification.ts";
import type { TlsOptions } from "./pki/tls-options.ts";
import type { Store } from "./store/store.ts";
import { Committer } from "./write/committer.ts";
import { KnowledgeChooser } from "./write/knowledge-chooser.ts";

export interface AppOptions {
  readonly store: Store;
  /** Any client that reaches the port may do everything. */
  readonly insecure: boolean;
  /** That operators want; default: none are expected. */
  readonly backups?: ExpectedBackups;
  /** Made-up questions keep the code that answers agents warm while some are connected; default: none. */
  readonly isWarm?: boolean;
  /** Agents may register their hosts; default: where it is insecure. */
  readonly selfRegistration?: boolean;
  /** Absent: plain HTTP, so that no host can enrol. The app closes it. */
  readonly tls?: TlsOptions;
  /** The host that a client certificate proves; default: as enrolment knows it. */
  readonly findCertified?: (socket: Socket) => CertifiedHost | undefined;
  readonly log: FastifyBaseLogger;
  /** Durable and visible state may differ: the process must stop. */
  readonly onFatal: (error: unknown) => void;
  readonly door?: Partial<DoorLimits>;
  /** Of all clients together; default: out of the files that the process may open. */
  readonly maxConnections?: number;
  /** Wall clock of commits, and of the lives of tokens; default: the machine's. */
  readonly now?: () => Date;
  readonly heartbeatMs?: number;
  /** A host is lost after this time without a session. */
  readonly hostGraceMs?: number;
  readonly stream?: Partial<HubLimits & { readonly pingMs: number }>;
  readonly retention?: Partial<LogRetention>;
  readonly maxAgentBufferedBytes?: number;
  readonly uploads?: Partial<UploadLimits>;
  readonly agentHelloMs?: number;
  readonly agentStalledMs?: number;
  /** Of each host on the agent channel; default: as agents/host-allowance.ts has it. */
  readonly agentAllowance?: Allowance;
  /** Between two looks at networks with `knowledge: auto`. */
  readonly knowledgeEveryMs?: number;
  /** Monotonic clock of the rates alone; default: the machine's. */
  readonly ratesNowMs?: () => number;
}

const mebibyte = 1024 * 1024;
const maxBodyBytes = 256 * 1024;
/** Longer than an agent waits between two attempts (test/unit/agreed-numbers.test.ts). */
export const hostGraceMs = 20_000;
/** An agent says hello as soon as the WebSocket is open. */
const helloMs = 10_000;
/** An agent reads what has come whenever its event loop turns: twice as long as it may be silent. */
const stalledMs = 2 * 3 * heartbeatMs;
const defaultStreamLimits = {
  pingMs: 30_000,
  maxBufferedBytes: 4 * mebibyte,
  maxWaitMs: 30_000,
  bookmarkMs: 10_000,
  pageSize: 256,
};
/** Headers must be complete within this time; slow clients are checked every second. */
const headerLimits = { headersTimeout: 10_000, connectionsCheckingInterval: 1_000, maxHeaderSize: 16 * 1024 };
/** How long peers may take to answer a close before the process stops waiting for them. */
const closeTimeoutMs = 1_000;

/** The app takes over the store and closes it with itself. */
export async function buildApp(options: AppOptions): Promise<App> {
  const { store, now = () => new Date() } = options;
  const metrics = new Metrics();
  const startedAt = new Date();
  const own = new OwnConditions({
    directory: options.uploads?.directory,
    ...(options.tls ? { ending: endingOf(options.tls) } : {}),
    ...defined({ backups: options.backups }),
    log: options.log,
    now: () => new Date(),
    nowMs: () => performance.now(),
  });
  const committer = await Committer.open({
    store,
    now,
    onFatal: options.onFatal,
    onCommitted: (seconds) => {
      metrics.committed(seconds);
      own.committed(seconds);
    },
    onFull: () => own.refused(),
  });
  const tokens = await TokenRegistry.load({ access: store.access, now, onFatal: options.onFatal });
  metrics.observe({ revision: () => committer.revision });

  const { tls } = options;
  const certification = tls && (await openCertification(tls, committer, store));
  const { app, handshakes } = createServer(options);
  await app.register(websocket, {
    options: {
      maxPayload: maxFrameBytes,
      // A subprotocol that the client offers and the path does not support is left unanswered, as RFC 6455 §4.2.2
      // requires.
      handleProtocols: (offered) => offered.has(cloudEventsProtocol) && cloudEventsProtocol,
    },
    errorHandler: (error, socket, request) => {
      request.log.info({ err: error }, "websocket ended");
      socket.terminate();
    },
    preClose(done) {
      const { clients } = this.websocketServer;
      for (const client of clients) client.close(closeCodes.controllerStopping, "the controller is stopping");
      setTimeout(() => {
        for (const client of clients) client.terminate();
      }, closeTimeoutMs).unref();
      done();
    },
  });
  letUpgradesTakeTurns(app);
  await registerOpenApi(app);
  const methods = new MethodsByPath();
  app.addHook("onRoute", (route) => methods.add(route));
  registerSecurityHeaders(app);
  const limits = { ...defaultDoorLimits, ...options.door };
  const refusals = new RefusalLog(options.log, () => performance.now());
  const total = options.maxConnections ?? connectionsFor();
  const hostSources = new HostSources(
    () => committer.current,
    () => performance.now(),
  );
  const connections = new Connections({
    limits: { total, unprovenPerSource: limits.unprovenConnections, perToken: limits.tokenConnections },
    hostsAt: (source) => hostSources.count(source),
    handshakes,
    onRefused: (reason, address) => {
      metrics.connectionRefused(reason);
      refusals.add({ reason: whyRefused[reason], address, path: "" });
    },
    nowMs: () => performance.now(),
  });
  app.server.maxConnections = total;
  metrics.observe({
    connections_unproven: () => connections.unproven,
    connections_ending: () => connections.endingCount,
    connections_proven: () => connections.proven,
    connections_limit: () => total,
  });
  await registerFrontDoor(app, {
    connections,
    credentials: {
      findToken: (token) => tokens.find(token),
      expiredAt: (token) => tokens.expiredAt(token),
      findCertified: options.findCertified ?? ((socket) => certification?.certificates.findCertified(socket)),
      isRevoked: (socket) => certification?.certificates.isRevoked(socket) ?? false,
      insecure: options.insecure,
    },
    limits,
    refusals,
    onRefused: (reason) => metrics.refused(reason),
    onAgentRefused: (socket) => {
      const ended = certification?.certificates.findEnded(socket);
      return ended && agents.conditions.refuse(ended.host, { reason: ended.reason });
    },
  });
  app.setNotFoundHandler(handleUnrouted(methods));
  app.addHook("onResponse", (request, reply, done) => {
    const route = request.routeOptions.url ?? "none";
    metrics.httpAnswered(request.method, route, reply.statusCode, reply.elapsedTime / 1_000);
    done();
  });

  const operational = new OperationalEvents(store.epoch);
  const nowMs = () => performance.now();
  const rates = new Rates(options.ratesNowMs ?? nowMs);
  const agents = new AgentChannel({
    committer,
    epoch: store.epoch,
    selfRegistration: options.selfRegistration ?? options.insecure,
    certification,
    limits: {
      heartbeatMs: options.heartbeatMs ?? heartbeatMs,
      maxBufferedBytes: options.maxAgentBufferedBytes ?? 8 * mebibyte,
      helloMs: options.agentHelloMs ?? helloMs,
      stalledMs: options.agentStalledMs ?? stalledMs,
    },
    ...(options.agentAllowance ? { allowance: options.agentAllowance } : {}),
    ...defined({ isWarm: options.isWarm }),
    graceMs: options.hostGraceMs ?? hostGraceMs,
    operational,
    metrics,
    rates,
    log: options.log,
    now: () => new Date(),
    nowMs,
  });
  const stream = { ...defaultStreamLimits, ...options.stream };
  const hub = new EventHub({ committer, operational, store, limits: stream, nowMs: () => performance.now() });
  const compactor = new Compactor({
    committer,
    store,
    retention: { ...defaultRetention, ...options.retention },
    now: () => new Date(),
    log: options.log,
    onFatal: options.onFatal,
  });

  const chooser = new KnowledgeChooser({
    committer,
    log: options.log,
    ...defined({ everyMs: options.knowledgeEveryMs }),
  });
  metrics.observeKnowledge(() => chooser.count());
  metrics.observe({
    log_events: () => compactor.extent.events,
    log_compacted: () => compactor.extent.compacted,
  });

  metrics.observeConditions(() => countConditions(agents, own));
  networkRoutes(app, { committer, agents });
  hostRoutes(app, { committer, agents, startedAt });
  vmRoutes(app, { committer, agents });
  moveRoutes(app, { committer, agents });
  evacuationRoutes(app, { committer, agents });
  thawRoutes(app, { committer, takeovers: agents.takeovers });
  groupRoutes(app, { committer, groups: agents.groups });
  resolveRoutes(app, { committer });
  eventRoutes(app, { hub, store, tokens, metrics, pingMs: stream.pingMs });
  operationalEventRoutes(app, { operational, committer });
  tokenRoutes(app, { tokens });
  auditRoutes(app, { access: store.access });
  presentConditionRoutes(app, { committer, agents, own, startedAt });
  observeRoutes(app, { committer, agents, own, rates, epoch: store.epoch, now: () => new Date() });
  topologyRoutes(app, { committer, agents, now, nowMs });
  logRoutes(app, { store });
  agentRoutes(app, { agents });
  const uploads = new Uploads({ ...defaultUploadLimits, ...options.uploads });
  metrics.observe({ imports: () => uploads.size });
  bulkRoutes(app, { committer, agents, uploads, epoch: store.epoch });
  enrolmentRoutes(app, certification);
  authorityRoutes(app, certification);
  operationRoutes(app, { committer, own, metrics, insecure: options.insecure });
  openApiRoutes(app);
  asyncApiRoutes(app);
  await registerDocsPage(app);
  await dashboardRoutes(app);

  certification?.certificates.onRevoked((host) => agents.revoked(host));
  if (tls) {
    tls.server.attach(app.server as unknown as TlsServer);
    tls.server.onChange(() => agents.trustChanged());
  }

  app.addHook("preClose", async () => {
    setTimeout(() => connections.endUnproven(), closeTimeoutMs).unref();
    tls?.server.close();
    agents.stop();
    own.stop();
    await chooser.stop();
    await compactor.stop();
    await tokens.stop();
    await committer.stop("the controller is stopping");
    hub.stop();
  });
  app.addHook("onClose", () => store.close());
  return app;
}

/** For the log. */
const whyRefused: Readonly<Record<Refused, string>> = {
  source: "more connections of one address or /64 than strangers may have",
  strangers: "more connections without credentials than there may be: of the source with most of them one was ended",
  identity: "more connections than one identity may have",
  capacity: "as many connections as there may be",
};

function createServer({ log, tls }: AppOptions): { readonly app: App; readonly handshakes: Handshakes } {
  const app: App = Fastify({
    // An https.Server serves like an http.Server; the type parameters of Fastify would tell them apart everywhere.
    ...(tls ? { https: { ...tls.server.options, ...headerLimits } } : { http: headerLimits }),
    // Fastify logs every request at info, and repeats the listening address: useful for debugging only.
    loggerInstance: log.child({}, log.level === "info" ? { level: "warn" } : {}),
    // A logger for each request tells the lines of one from those of others: only debugging has several.
    ...(log.level === "debug" || log.level === "trace" ? {} : { childLoggerFactory: (logger) => logger }),
    bodyLimit: maxBodyBytes,
    // A request has to arrive whole in this time. Upgraded connections are not requests any more.
    requestTimeout: 30_000,
    // Longer than a wait=ready may take.
    connectionTimeout: 75_000,
    keepAliveTimeout: 60_000,
    routerOptions: { maxParamLength: 1_024 },
    frameworkErrors: (error, request, reply) => handleError(error, request, reply),
  });
  const handshakes = tls ? paceHandshakes(app.server as unknown as TlsServer) : noHandshakes;
  app.setValidatorCompiler(compileValidator);
  // Answers are typed against their schemas; the serializer need not pick fields once more.
  app.setSerializerCompiler(() => JSON.stringify);
  app.setErrorHandler(handleError);
  app.removeContentTypeParser("text/plain");
  app.addContentTypeParser(
    "application/merge-patch+json",
    { parseAs: "string" },
    app.getDefaultJsonParser("error", "error"),
  );
  return { app, handshakes };
}
