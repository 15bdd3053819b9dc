// `npm run bench -- <bench>`: builds labs, measures, prints, and takes everything away again.
import { parseArgs } from "node:util";
import { whyNoLab } from "../lab/lab.ts";
import { abuseBench } from "./abuse/bench.ts";
import { reportAbuse } from "./abuse/report.ts";
import { firstPacket } from "./first-packet/bench.ts";
import { report } from "./first-packet/report.ts";
import { firstPacketBurst } from "./first-packet-burst/bench.ts";
import { reportBurst } from "./first-packet-burst/report.ts";
import { firstPacketStorm } from "./first-packet-storm/bench.ts";
import { reportStorm } from "./first-packet-storm/report.ts";
import { fleetBench } from "./fleet/bench.ts";
import { reportFleet } from "./fleet/report.ts";
import { importBench } from "./import/bench.ts";
import { reportImport } from "./import/report.ts";
import { modeNames } from "./modes/mode.ts";
import { OptionError, parseFamilies, parseList, parseNumber, parseNumbers } from "./options.ts";
import { tellProgress } from "./progress.ts";
import { reconcileBench } from "./reconcile/bench.ts";
import { reportReconcile } from "./reconcile/report.ts";
import { searchBench } from "./search/bench.ts";
import { reportSearch } from "./search/report.ts";
import { streamBench } from "./stream/bench.ts";
import { reportStream } from "./stream/report.ts";

const help = `Usage: npm run bench -- <bench> [options]

Guests, hosts and controllers in network namespaces of this machine. Needs root, and leaves nothing behind. Compare the
figures of one run with each other, never those of two machines.

Benches:
  first-packet        the first packet between two VMs that nobody has met, in all modes, and the frames that each
                      mode sends to hosts which do not need them
  first-packet-burst  the first packets of many guests at the same moment
  first-packet-storm  first packets while another guest of the same host scans a /16
  abuse               what honest clients of a controller wait for while others attack it
  import              one import of many VMs, and what other requests wait for meanwhile
  stream              many consumers of the event stream while changes are made, beside a bare ws server that sends the
                      same messages
  search              a page of VMs by name, IP, MAC, label, host and network, in a small fleet and in a large one
  fleet               a controller that was killed and is back, and how soon all its agents are, beside a bare ws server
  reconcile           one agent comparing all that it holds with the kernel, beside a plain dump of the same tables

Modes: ${modeNames.join(", ")}

Options:
  --json               print the result as one JSON object
  --short              few trials, for CI
  --modes <names>      with commas between (first-packet: all; burst: static,nearmiss; storm: nearmiss)
  --families <4,6>     address families of the guests (storm: 4, the others: 4,6)
  --trials <n>         per mode and family (first-packet: 300; storm: 100)
  --slow-trials <n>    first-packet: the same for modes that wait for the guest's own retry (25)
  --hosts <n,n,…>      first-packet: numbers of hosts to count replicated frames with (2,8,32)
  --steps              first-packet: follow nearmiss's frames on their way; costs some time itself
  --guests <n>         burst: guests (200)
  --rounds <n>         burst: bursts per mode and family (5); reconcile: turns of each (20); search: of each (100);
                       abuse: turns of 4 s in peace and attacked (10)
  --rate <n>           storm: questions a second (as many as a packet socket takes); stream: events a second (1,000);
                       abuse: attacks of each kind a second (20)
  --vms <n>            import: VMs in the import; search: in the large fleet (100,000)
  --agents <n>         import: hosts, each with an agent connected (100); fleet: agents (10,000)
  --held <n>           fleet: VMs of other hosts that each agent holds (20)
  --consumers <n>      stream: consumers (2,000)
  --seconds <n>        stream: how long changes are made (10)
  --batch <n>          stream: changes in one revision at most (50)
  --entries <n>        reconcile: VMs of other hosts that are held, three kernel entries each (10,000)
  --help               print this

Exit status: 0 with a result, 1 without, 2 for wrong options, 128 + n when ended by signal n.
`;

const { values, positionals } = parseOptions();

function parseOptions() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        json: { type: "boolean", default: false },
        short: { type: "boolean", default: false },
        modes: { type: "string" },
        families: { type: "string" },
        trials: { type: "string" },
        "slow-trials": { type: "string" },
        hosts: { type: "string" },
        steps: { type: "boolean", default: false },
        guests: { type: "string" },
        rounds: { type: "string" },
        rate: { type: "string" },
        vms: { type: "string" },
        agents: { type: "string" },
        held: { type: "string" },
        consumers: { type: "string" },
        seconds: { type: "string" },
        batch: { type: "string" },
        entries: { type: "string" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
  } catch (error) {
    if (error instanceof TypeError) fail(new OptionError(error.message));
    throw error;
  }
}

/** The option as given, or what suits the length of the run. */
const or = (given: string | undefined, long: string, short: string): string => given ?? (values.short ? short : long);

/** Each prints its result as text. */
const benches: Readonly<Record<string, () => Promise<string>>> = {
  "first-packet": async () => {
    const result = await firstPacket(
      {
        modes: parseList(values.modes ?? modeNames.join(","), modeNames),
        families: parseFamilies(values.families ?? "4,6"),
        trials: parseNumber(or(values.trials, "300", "20")),
        slowTrials: parseNumber(or(values["slow-trials"], "25", "2")),
        hosts: parseNumbers(or(values.hosts, "2,8,32", "2,8"), 2),
        steps: values.steps,
      },
      tellProgress,
    );
    return values.json ? json(result) : report(result);
  },
  "first-packet-burst": async () => {
    const result = await firstPacketBurst(
      {
        modes: parseList(values.modes ?? "static,nearmiss", modeNames),
        families: parseFamilies(values.families ?? "4,6"),
        guests: parseNumber(or(values.guests, "200", "40"), 8),
        rounds: parseNumber(or(values.rounds, "5", "2")),
      },
      tellProgress,
    );
    return values.json ? json(result) : reportBurst(result);
  },
  "first-packet-storm": async () => {
    const result = await firstPacketStorm(
      {
        modes: parseList(values.modes ?? "nearmiss", modeNames),
        families: parseFamilies(values.families ?? "4"),
        trials: parseNumber(or(values.trials, "100", "10")),
        rate: values.rate === undefined ? 0 : parseNumber(values.rate),
      },
      tellProgress,
    );
    return values.json ? json(result) : reportStorm(result);
  },
  abuse: async () => {
    const result = await abuseBench(
      { rounds: parseNumber(or(values.rounds, "10", "1")), rate: parseNumber(values.rate ?? "20") },
      tellProgress,
    );
    return values.json ? json(result) : reportAbuse(result);
  },
  import: async () => {
    const result = await importBench(
      {
        vms: parseNumber(or(values.vms, "100000", "5000")),
        hosts: parseNumber(or(values.agents, "100", "10"), 2),
      },
      tellProgress,
    );
    return values.json ? json(result) : reportImport(result);
  },
  stream: async () => {
    const result = await streamBench(
      {
        consumers: parseNumber(or(values.consumers, "2000", "50")),
        rate: parseNumber(or(values.rate, "1000", "200")),
        seconds: parseNumber(or(values.seconds, "10", "2")),
        batch: parseNumber(or(values.batch, "50", "50")),
      },
      tellProgress,
    );
    return values.json ? json(result) : reportStream(result);
  },
  search: async () => {
    const result = await searchBench(
      {
        vms: parseNumber(or(values.vms, "100000", "5000"), 1_000),
        rounds: parseNumber(or(values.rounds, "100", "10")),
      },
      tellProgress,
    );
    return values.json ? json(result) : reportSearch(result);
  },
  fleet: async () => {
    const result = await fleetBench(
      {
        agents: parseNumber(or(values.agents, "10000", "200"), 2),
        held: parseNumber(or(values.held, "20", "20")),
      },
      tellProgress,
    );
    return values.json ? json(result) : reportFleet(result);
  },
  reconcile: async () => {
    const result = await reconcileBench(
      {
        entries: parseNumber(or(values.entries, "10000", "1000")),
        rounds: parseNumber(or(values.rounds, "20", "4")),
      },
      tellProgress,
    );
    return values.json ? json(result) : reportReconcile(result);
  },
};

function json(result: object): string {
  return `${JSON.stringify(result)}\n`;
}

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  const [name = "", ...rest] = positionals;
  const bench = Object.hasOwn(benches, name) ? benches[name] : undefined;
  if (!bench || rest.length > 0) throw new OptionError(`name one of ${Object.keys(benches).join(", ")}`);
  const obstacle = whyNoLab();
  if (obstacle !== undefined) throw new Error(`${obstacle}: run it with sudo`);
  const text = await bench();
  tellProgress("");
  process.stdout.write(text);
  return 0;
}

function fail(error: unknown): never {
  const wrongOption = error instanceof OptionError;
  const text = error instanceof Error ? (wrongOption ? error.message : (error.stack ?? error.message)) : String(error);
  process.stderr.write(`nearmiss bench: ${text}${wrongOption ? ` (--help lists all options)` : ""}\n`);
  process.exit(wrongOption ? 2 : 1);
}

// A reader that went away (`| head`) ends the bench; the labs go with the process.
process.stdout.on("error", () => process.exit(1));

main().then((status) => process.exit(status), fail);
