// The agent's flags.
import { isIP } from "node:net";
import { type Command, InvalidArgumentError, Option } from "../common/commander.ts";
import { dayMs, findDurationMs } from "../common/duration.ts";
import { AddressError, parseVtep, type VtepAddress } from "../schema/address/index.ts";
import { findCaHash } from "../schema/agent/index.ts";
import { namePattern } from "../schema/plain/index.ts";
import type { AgentFlags } from "./flags.ts";
import type { IdentityFlags } from "./identity/establish.ts";
import { defaultStateDirectory } from "./identity/state.ts";
import type { Adoptable } from "./kernel/devices/adoption.ts";
import type { MetricsAddress } from "./metrics/server.ts";
import type { FastPath } from "./open-kernel.ts";
import { addRemoveCommand, addStatusCommand, parseSocketPath } from "./status/command.ts";
import type { Output } from "./status/command-flags.ts";
import { socketDirectory } from "./status/socket-path.ts";
import { defaultCaps, defaultIdleMs } from "./tables/ageing.ts";
import { defaultCopiesPerSecond } from "./tables/broadcast.ts";
import { defaultReplicaBytes } from "./tables/replicas.ts";

const mebibyte = 2 ** 20;

type GivenFlags = IdentityFlags &
  Pick<AgentFlags, "fastPath" | "localVtep" | "antiSpoof" | "underlayFilter" | "logLevel" | "metrics" | "socket"> & {
    readonly announce: "on" | "off";
    readonly idleTimeout: number;
    readonly maxPerNetwork: number;
    readonly maxPerHost: number;
    readonly maxReplicaMemory: number;
    readonly maxStale: number;
    readonly maxBroadcastCopies: number;
    /** Absent: as AgentFlags says, or on where a directory is given. */
    readonly remember?: "on" | "off";
    /** True: without names. */
    readonly adopt?: Adoptable | true;
  };

export function addAgentCommand(program: Command, output: Output): void {
  const agent = program
    .command("agent")
    .summary("answer this host's neighbour misses")
    .description(
      "Answers this host's neighbour misses from the controller. Needs CAP_NET_ADMIN and CAP_NET_RAW (run it as root).\n" +
        "Makes a bridge nmb<vni> and a vxlan device nmv<vni> for each network that has a VM on this host; attach the VMs' " +
        "taps or veths to the bridge. Stopping it (SIGTERM) leaves devices and entries in place.",
    )
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
    .addHelpText(
      "after",
      "\nExit status: 0 after SIGINT or SIGTERM; 1 when it cannot start or fails; 2 for a wrong option.",
    )
    .option(
      "--controller <url>",
      "the controller, such as https://192.0.2.1:4788 (default: the one enrolled with)",
      parseController,
    )
    .option("--host <name>", "this host's name in the inventory (default: the one enrolled as)", parseName)
    .option("--vtep <ip>", "this host's underlay address (default: what the operator registered)", parseVtepFlag)
    .option(
      "--local-vtep <ip>",
      "its address on this host, where 1:1 address translation makes it the registered one for others",
      parseVtepFlag,
    )
    .option(
      "--join-file <path>",
      "enrol with the token in this file, or with that of NEARMISS_JOIN, as `nearmiss host add` prints it",
    )
    .option("--ca-hash <hash>", "sha256:… of the controller's CA, with a join token", parseCaHash)
    .option(
      "--state-dir <path>",
      "directory of an enrolled host's key, certificate, controller and networks",
      defaultStateDirectory,
    )
    .addOption(
      new Option(
        "--announce <mode>",
        "send answers to waiting guests, and prepare the return path; with off (for comparison), each first " +
          "packet waits for the guest's own retry",
      )
        .choices(["on", "off"])
        .default("on"),
    )
    .addOption(
      new Option(
        "--fast-path <mode>",
        "how misses of networks in memory are answered: by a thread that is kept warm (0.5 % of a processor while there is such a network), by a " +
          "thread that is not, or, with off, by the main thread; warm also keeps the way of questions to the controller warm (0.4 %)",
      )
        .choices(["warm", "cold", "off"] satisfies FastPath[])
        .default("warm" satisfies FastPath),
    )
    .addOption(
      new Option(
        "--idle-timeout <time>",
        "evict entries that have carried no traffic for this time, 1s … 7d (s, m, h, d), or off; a guest that sends again " +
          "later, with the MAC in its cache, loses one frame",
      )
        .argParser(parseIdleTimeout)
        .default(defaultIdleMs, "10m"),
    )
    .addOption(
      new Option(
        "--max-per-network <count>",
        "maximum cached addresses (IPs and MACs) of remote VMs per network, 16 … 500000; the least recently used are evicted",
      )
        .argParser(parseCap)
        .default(defaultCaps.perNetwork),
    )
    .addOption(
      new Option(
        "--max-per-host <count>",
        "maximum over all networks; each takes about 0.5 kB in the agent, and in the kernel",
      )
        .argParser(parseCap)
        .default(defaultCaps.perHost),
    )
    .addOption(
      new Option(
        "--max-replica-memory <MiB>",
        "maximum memory for networks with knowledge replicate or prefetch, 1 … 16384; 1 MiB has some 25,000 addresses (IPs and MACs), " +
          "and a network without room is on demand",
      )
        .argParser(parseMebibytes)
        .default(defaultReplicaBytes / mebibyte),
    )
    .addOption(
      new Option(
        "--max-stale <time>",
        "without a session, answer from networks in memory no longer than this, 1s … 7d (s, m, h, d), or off: without a limit",
      )
        .argParser(parseIdleTimeout)
        .default(Number.POSITIVE_INFINITY, "off"),
    )
    .addOption(
      new Option(
        "--max-broadcast-copies <count>",
        "copies a second that the broadcasts of one guest port may become in networks with broadcast replicate, 1 … 1000000; the rest stays " +
          "on this host",
      )
        .argParser(parseCopies)
        .default(defaultCopiesPerSecond),
    )
    .addOption(
      new Option(
        "--remember <mode>",
        "keep this host's networks in the state directory, so that they are there when the host restarts without a controller " +
          "(default: on for an enrolled host, and with --state-dir)",
      ).choices(["on", "off"]),
    )
    .addOption(
      new Option(
        "--adopt [devices]",
        "use an existing vxlan device for the network of its VNI, with its bridge, and keep the device when the network " +
          "leaves; the devices with these names (separated by commas), or any",
      ).argParser(parseAdoptable),
    )
    .option(
      "--anti-spoof",
      "drop frames of guests with addresses that are not registered for their interface, and router advertisements and " +
        "DHCP answers; for interfaces with a port; needs nft",
      false,
    )
    .option(
      "--underlay-filter",
      "accept tunnelled frames only from VTEPs of hosts that have a VM in the network, and none from guests; needs nft",
      false,
    )
    .addOption(
      new Option("--log-level <level>", "minimum level of log lines (JSON on standard error)")
        .choices(["trace", "debug", "info", "warn", "error", "fatal"])
        .default("info"),
    )
    .option(
      "--socket <path>",
      `local socket for "agent status" and "explain", for its owner only (default: ${socketDirectory}/HOST.sock)`,
      parseSocketPath,
    )
    .option(
      "--metrics <address:port>",
      "serve metrics for Prometheus at http://ADDRESS:PORT/metrics; a port without an address means 127.0.0.1 (default: none)",
      parseMetricsAddress,
    )
    .action(
      async (
        {
          adopt,
          announce,
          idleTimeout,
          maxPerNetwork,
          maxPerHost,
          maxReplicaMemory,
          maxStale,
          maxBroadcastCopies,
          remember,
          ...flags
        }: GivenFlags,
        command: Command,
      ) => {
        const { runAgent } = await import("./main.ts");
        await runAgent({
          ...flags,
          announce: announce === "on",
          idleMs: idleTimeout,
          caps: { perNetwork: maxPerNetwork, perHost: maxPerHost },
          maxReplicaBytes: maxReplicaMemory * mebibyte,
          maxStaleMs: maxStale,
          copiesPerSecond: maxBroadcastCopies,
          remember: remember ?? (command.getOptionValueSource("stateDir") === "default" ? "enrolled" : "on"),
          adoptable: adopt === true ? "all" : (adopt ?? new Set()),
        });
      },
    );
  addStatusCommand(agent, output);
  addRemoveCommand(agent);
}

function parseController(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "http:" && url?.protocol !== "https:") {
    throw new InvalidArgumentError("Write a URL such as http://192.0.2.1:4788.");
  }
  return url;
}

function parseName(text: string): string {
  if (!new RegExp(namePattern).test(text)) {
    throw new InvalidArgumentError("A name is 1 … 63 of letters, digits, '.', '_' and '-'.");
  }
  return text;
}

function parseCaHash(text: string): string {
  const hash = findCaHash(text);
  if (hash === undefined) throw new InvalidArgumentError("Write sha256: and 64 hexadecimal digits.");
  return hash;
}

function parseVtepFlag(text: string): VtepAddress {
  try {
    return parseVtep(text);
  } catch (error) {
    if (error instanceof AddressError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}

/** In ms, Infinity for "off". @throws InvalidArgumentError outside 1s … 7d */
export function parseIdleTimeout(text: string): number {
  if (text === "off") return Number.POSITIVE_INFINITY;
  const ms = findDurationMs(text, { minMs: 1_000, maxMs: 7 * dayMs });
  if (ms === undefined) {
    throw new InvalidArgumentError("Write a time from 1s to 7d such as 90s, 10m or 2h, or off.");
  }
  return ms;
}

/** Names of network devices, as the kernel takes them (dev_valid_name() in net/core/dev.c). @throws InvalidArgumentError */
export function parseAdoptable(text: string): ReadonlySet<string> {
  const names = text.split(",");
  const wrong = names.find((name) => !/^[^\s/:]{1,15}$/.test(name) || name === "." || name === "..");
  if (wrong !== undefined) {
    throw new InvalidArgumentError(
      `"${wrong}" is not a valid device name. Write names such as vxlan7,vxlan8, or none for any.`,
    );
  }
  return new Set(names);
}

/** `port` (on loopback), or `address:port` with an IPv6 address in brackets. @throws InvalidArgumentError */
export function parseMetricsAddress(text: string): MetricsAddress {
  const [, bracketed, plain, digits = ""] = /^(?:(?:\[([^\]]+)\]|([^:[\]]+)):)?(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain ?? "127.0.0.1";
  const family = bracketed === undefined ? 4 : 6;
  if (digits === "" || isIP(host) !== family) {
    throw new InvalidArgumentError("Write a port or address:port, such as 9478, 192.0.2.1:9478 or [::1]:9478.");
  }
  if (Number(digits) > 65_535) throw new InvalidArgumentError(`Port ${digits} is greater than 65535.`);
  return { host, port: Number(digits) };
}

/** @throws InvalidArgumentError outside 16 … 500000 */
export function parseCap(text: string): number {
  const count = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (!(count >= 16 && count <= 500_000)) throw new InvalidArgumentError("Write a whole number from 16 to 500000.");
  return count;
}

/** @throws InvalidArgumentError outside 1 … 16384 */
/** @throws InvalidArgumentError */
export function parseCopies(text: string): number {
  const count = /^\d{1,7}$/.test(text) ? Number(text) : Number.NaN;
  if (!(count >= 1 && count <= 1_000_000))
    throw new InvalidArgumentError("Write a whole number of copies a second from 1 to 1000000.");
  return count;
}

export function parseMebibytes(text: string): number {
  const count = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(count >= 1 && count <= 16_384)) throw new InvalidArgumentError("Write a whole number of MiB from 1 to 16384.");
  return count;
}
