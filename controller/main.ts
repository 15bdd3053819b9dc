// The controller as a process: opens the store, listens, logs to standard error, stops in two stages.
import type { AddressInfo } from "node:net";
import { dirname } from "node:path";
import closeWithGrace from "close-with-grace";
import { type Logger, pino } from "pino";
import { defined } from "../common/defined.ts";
import { trimHeap } from "../common/trim-heap.ts";
import { warmUp } from "./agents/warm-up.ts";
import { buildApp } from "./app.ts";
import { firstTokenFile, writeFirstToken } from "./auth/first-token.ts";
import type { ControllerConfig } from "./config-types.ts";
import { checkModes, refusePlanted } from "./file-modes.ts";
import { listenWide } from "./listen.ts";
import { formatListen, isLoopback } from "./listen-address.ts";
import { PkiError } from "./pki/authorities.ts";
import { pkiDirectory } from "./pki/authority-files.ts";
import { openTls } from "./pki/open-tls.ts";
import { readLastBackup } from "./store/last-backup.ts";
import { refuseForeign, refuseNoFile } from "./store/sqlite/foreign.ts";
import { openSqliteStore } from "./store/sqlite/sqlite-store.ts";
import { StoreBrokenError, StoreOpenError } from "./store/store.ts";

/** How long requests may take to finish after the first signal. */
const graceMs = 10_000;

/** Ends the process with status 1 where the controller cannot start. */
export async function runController(config: ControllerConfig): Promise<void> {
  if (!config.insecure && !config.tls && !isLoopback(config.listen.host)) {
    return refuse(explainReach(formatListen(config.listen), config.db));
  }
  const log = pino({ level: config.logLevel }, pino.destination({ fd: 2, sync: true }));
  try {
    await start(config, log);
  } catch (error) {
    const reason = findStartReason(error, config);
    if (reason === undefined) throw error;
    refuse(reason);
  }
}

async function start(config: ControllerConfig, log: Logger): Promise<void> {
  // Its files contain secrets, or lead to some.
  process.umask(0o077);
  const secrets = [config.db, `${config.db}-wal`, firstTokenFile(config.db), pkiDirectory(config.db)];
  refusePlanted(config.db, [...secrets, ...[".lock", "-journal", "-shm"].map((ending) => `${config.db}${ending}`)]);
  refuseNoFile(config.db);
  checkModes(secrets, () => refuseForeign(config.db));
  const store = openSqliteStore(config.db);
  // The store's lock keeps two controllers from making a CA each.
  const tls =
    config.tls && (await openTls({ ...config, tls: config.tls }, await store.credentials.listCredentials(), log));
  if (config.insecure) {
    log.warn(
      "INSECURE: no tokens, no TLS, hosts register themselves: any client that reaches the port controls the network",
    );
  } else {
    const file = await writeFirstToken(store.access, config.db, new Date());
    if (file) log.info({ file }, "first start: the file contains an admin token, and only its owner can read it");
  }
  const app = await buildApp({
    store,
    ...defined({ tls }),
    insecure: config.insecure,
    isWarm: config.fastPath === "warm",
    ...(config.backupWithin === undefined
      ? {}
      : { backups: { withinMs: config.backupWithin, last: () => readLastBackup(config.db) } }),
    door: {
      hosts: [...(config.allowHost ?? []), ...(config.tls?.names ?? [])],
      origins: config.allowOrigin ?? [],
      requestsPerSecond: config.rateLimit,
      tokenConnections: config.tokenConnections,
      unprovenConnections: config.strangerConnections,
    },
    retention: {
      maxAgeMs: config.logMaxAge,
      maxEvents: config.logMaxEvents,
      audit: { maxAgeMs: config.auditMaxAge, maxEntries: config.auditMaxEntries },
    },
    // Beside the database, where room is expected: a temporary directory is often in memory.
    uploads: { directory: dirname(config.db) },
    log,
    onFatal: (error) => {
      log.fatal({ err: error }, "the store failed: stopping, so that nothing is guessed");
      process.exit(1);
    },
  });
  // Before the warm-up: it discards compiled code, too.
  trimHeap();
  warmUp();
  try {
    await listenWide(app, config.listen);
  } catch (error) {
    await app.close();
    throw error;
  }
  closeWithGrace({ delay: graceMs, logger: log }, async ({ signal, err }) => {
    if (err) log.fatal({ err }, "stopping after an unexpected error");
    else log.info({ signal }, "stopping");
    await app.close();
  });
  const { address, port } = app.server.address() as AddressInfo;
  log.info(
    { address, port, tls: tls !== undefined, db: config.db, epoch: store.epoch, insecure: config.insecure },
    "listening",
  );
}

/** A reason that an operator can fix, in one line. */
function findStartReason(error: unknown, { listen }: ControllerConfig): string | undefined {
  if (error instanceof StoreOpenError || error instanceof PkiError) return error.message;
  if (error instanceof StoreBrokenError) return `${error.message}: restore a backup`;
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const where = formatListen(listen);
  if (code === "EADDRINUSE")
    return `${where} is in use (ss -ltnp names the program): name another --listen, or stop it there if it is not needed`;
  if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND") return `${where} is not an address of this machine`;
  if (code === "EACCES") return `not permitted to listen on ${where}: name a port above 1023`;
  return undefined;
}

function explainReach(listen: string, db: string): string {
  const command = `nearmiss controller --listen ${listen} --db ${db}`;
  return (
    `${listen} can be reached from other machines, and without TLS tokens can be read in transit. Either\n` +
    `  ${command} --tls self\n` +
    "makes a CA of the controller's own, or\n" +
    `  ${command} --tls-cert FILE --tls-key FILE\n` +
    "serves with your own certificate. (--insecure serves without TLS and without tokens: any client that reaches the " +
    "port controls the network.)"
  );
}

function refuse(reason: string): void {
  process.stderr.write(`nearmiss controller: ${reason}\n`);
  process.exitCode = 1;
}
