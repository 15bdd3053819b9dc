// The flags of `nearmiss controller`. What runs loads only when it runs.
import { isIP } from "node:net";
import { type Command, InvalidArgumentError, Option } from "../common/commander.ts";
import { defined } from "../common/defined.ts";
import { dayMs, findDurationMs } from "../common/duration.ts";
import { defaultDoorLimits } from "./auth/front-door.ts";
import type { ControllerConfig, FastPath, TlsConfig } from "./config-types.ts";
import { defaultRetention } from "./events/compactor.ts";
import type { ListenAddress } from "./listen-address.ts";

const defaultListen = "127.0.0.1:4788";
const logLevels = ["fatal", "error", "warn", "info", "debug", "trace", "silent"];

const help = `
Exit status: 0 after SIGINT or SIGTERM; 1 where it cannot start or had to stop; 2 for a wrong option.
The first signal lets requests finish (10 s at most), the second ends the process at once.

Examples:
  nearmiss controller
  nearmiss controller --listen 192.0.2.250:4788 --db /var/lib/nearmiss/nearmiss.db --insecure
  nearmiss controller --listen '[::1]:4788'

REST and WebSocket API: GET /openapi.json. Metrics for Prometheus: GET /metrics.`;

export function addControllerCommand(program: Command): void {
  program
    .command("controller")
    .summary("run the controller: inventory, REST, answers to agents")
    .description(
      "Keeps the inventory of networks, hosts and VMs in SQLite, serves it over REST, and answers the misses of agents.\n" +
        "Every change is on disk (fsync) before it is acknowledged.",
    )
    .addOption(
      new Option("--listen <address:port>", "TCP address and port to serve; port 0 takes a free one")
        .argParser(parseListen)
        .default(parseListen(defaultListen), defaultListen),
    )
    .option("--db <path>", "SQLite file, created if missing; one controller per file", "nearmiss.db")
    .option(
      "--insecure",
      "serve beyond loopback, and let hosts register themselves, without any authentication: any client that reaches the " +
        "port controls the network",
      false,
    )
    .option(
      "--allow-host <name>",
      "a name that clients use for it, in addition to its addresses; may be repeated",
      collect,
    )
    .option(
      "--allow-origin <origin>",
      "a site whose pages may call the API, such as https://tools.example.org",
      collect,
    )
    .addOption(
      new Option("--rate-limit <n>", "requests a second of one identity, on average over ten seconds")
        .argParser(parseRateLimit)
        .default(defaultDoorLimits.requestsPerSecond),
    )
    .addOption(
      new Option("--token-connections <n>", "open connections per token, 8 … 100000")
        .argParser(parseConnections)
        .default(defaultDoorLimits.tokenConnections),
    )
    .addOption(
      new Option(
        "--stranger-connections <n>",
        "unauthenticated connections per IPv4 address or IPv6 /64, 8 … 100000: raise it if " +
          "many hosts reach the controller from one address",
      )
        .argParser(parseConnections)
        .default(defaultDoorLimits.unprovenConnections),
    )
    .addOption(
      new Option(
        "--log-max-age <time>",
        "remove changes that are older, 1s … 3650d (s, m, h, d), or off: event consumers that are further behind start over",
      )
        .argParser(parseMaxAge)
        .default(defaultRetention.maxAgeMs, "30d"),
    )
    .addOption(
      new Option("--log-max-events <n>", "remove the oldest changes beyond this number, 100 … 1000000000")
        .argParser(parseMaxEvents)
        .default(defaultRetention.maxEvents),
    )
    .addOption(
      new Option("--audit-max-age <time>", "remove audit entries that are older, 1s … 3650d, or off")
        .argParser(parseMaxAge)
        .default(defaultRetention.audit.maxAgeMs, "365d"),
    )
    .addOption(
      new Option("--audit-max-entries <n>", "remove the oldest audit entries beyond this number, 100 … 1000000000")
        .argParser(parseMaxEvents)
        .default(defaultRetention.audit.maxEntries),
    )
    .addOption(
      new Option(
        "--tls <mode>",
        "serve HTTPS with a certificate of the CA that the controller creates beside its database",
      )
        .choices(["self", "off"])
        .default("off", "off, or on if --tls-cert is given"),
    )
    .option("--tls-cert <path>", "serve HTTPS with this certificate (PEM, including intermediate certificates)")
    .option("--tls-key <path>", "its private key (PEM)")
    .option("--tls-ca <path>", "the CA that agents check it with (default: a public CA, or the certificate itself)")
    .option("--name <name>", "DNS name or address that agents and operators use for it; may be repeated", collect, [])
    .addOption(
      new Option(
        "--cert-lifetime <time>",
        "lifetime of hosts' certificates and the controller's own, 6s … 825d; renewed after two thirds",
      )
        .argParser(parseLifetime)
        .default(30 * dayMs, "30d"),
    )
    .addOption(
      new Option("--cert-grace <time>", "for how long after its end a host's certificate can still be renewed")
        .argParser(parseLifetime)
        .default(30 * dayMs, "30d"),
    )
    .addOption(
      new Option(
        "--backup-within <time>",
        "report a condition where no backup was made for so long, 6s … 825d (default: backups are not expected)",
      ).argParser(parseLifetime),
    )
    .option("--new-ca", "make a CA where the old one is lost: each host that has a certificate needs a new join token")
    .addOption(
      new Option(
        "--fast-path <mode>",
        "how agents are answered: by code that made-up questions keep warm while agents are connected (0.4 % of a processor), or that is not",
      )
        .choices(["warm", "cold"] satisfies FastPath[])
        .default("warm" satisfies FastPath),
    )
    .addOption(
      new Option("--log-level <level>", "minimum level of log lines (JSON, on standard error)")
        .choices(logLevels)
        .default("info"),
    )
    .addHelpText("after", help)
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
    .action(
      async (
        { tls: mode, tlsCert, tlsKey, tlsCa, name, certLifetime, certGrace, newCa, ...rest }: Flags,
        command: Command,
      ) => {
        const tls = findTls({ mode, cert: tlsCert, key: tlsKey, ca: tlsCa }, (problem) =>
          command.error(`error: ${problem}`),
        );
        if (newCa && !tls) command.error("error: --new-ca goes with --tls self or --tls-cert");
        const { runController } = await import("./main.ts");
        const common = { names: name, certificateLifetimeMs: certLifetime, graceMs: certGrace, newCa: newCa === true };
        await runController({ ...rest, ...(tls ? { tls: { ...tls, ...common } } : {}) });
      },
    );
}

type Flags = Omit<ControllerConfig, "tls"> & {
  readonly tls: "self" | "off";
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsCa?: string;
  readonly newCa?: true;
  readonly name: readonly string[];
  readonly certLifetime: number;
  readonly certGrace: number;
};

interface TlsFlags {
  readonly mode: "self" | "off";
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly ca: string | undefined;
}

function findTls(
  { mode, cert, key, ca }: TlsFlags,
  fail: (problem: string) => never,
): Pick<TlsConfig, "files"> | undefined {
  if (cert === undefined || key === undefined) {
    if (cert !== undefined || key !== undefined) fail("--tls-cert and --tls-key belong together");
    if (ca !== undefined) fail("--tls-ca goes with --tls-cert and --tls-key");
    return mode === "self" ? {} : undefined;
  }
  if (mode === "self") fail("--tls self makes its own certificate: leave out --tls-cert and --tls-key, or --tls self");
  return { files: { cert, key, ...defined({ ca }) } };
}

function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value.toLowerCase()];
}

/** In ms. @throws InvalidArgumentError outside 6s … 825d */
export function parseLifetime(text: string): number {
  const ms = findDurationMs(text, { minMs: 6_000, maxMs: 825 * dayMs, maxDigits: 9 });
  if (ms === undefined) {
    throw new InvalidArgumentError("Write a time from 6s to 825d such as 12h or 30d.");
  }
  return ms;
}

/** @throws InvalidArgumentError outside 8 … 100000 */
export function parseConnections(text: string): number {
  const count = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (!(count >= 8 && count <= 100_000)) throw new InvalidArgumentError("Write a whole number from 8 to 100000.");
  return count;
}

/** @throws InvalidArgumentError outside 1 … 100000 */
function parseRateLimit(text: string): number {
  const count = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (!(count >= 1 && count <= 100_000)) throw new InvalidArgumentError("Write a whole number from 1 to 100000.");
  return count;
}

/**
 * In ms, Infinity for "off": where a parser returns nothing, commander makes it an empty text.
 * @throws InvalidArgumentError outside 1s … 3650d
 */
function parseMaxAge(text: string): number {
  if (text === "off") return Number.POSITIVE_INFINITY;
  const ms = findDurationMs(text, { minMs: 1_000, maxMs: 3_650 * dayMs, maxDigits: 9 });
  if (ms === undefined) {
    throw new InvalidArgumentError("Write a time from 1s to 3650d such as 12h or 30d, or off.");
  }
  return ms;
}

/** @throws InvalidArgumentError outside 100 … 1000000000 */
function parseMaxEvents(text: string): number {
  const count = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (!(count >= 100 && count <= 1_000_000_000)) {
    throw new InvalidArgumentError("Write a whole number from 100 to 1000000000.");
  }
  return count;
}

/** `address:port`, with an IPv6 address in brackets. @throws InvalidArgumentError */
export function parseListen(text: string): ListenAddress {
  const [, bracketed, plain, digits = ""] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  if (host === undefined || (bracketed && isIP(bracketed) !== 6)) {
    throw new InvalidArgumentError("Write address:port, such as 127.0.0.1:4788 or [::1]:4788.");
  }
  if (port > 65_535) throw new InvalidArgumentError(`Port ${digits} is greater than 65535.`);
  return { host, port };
}
