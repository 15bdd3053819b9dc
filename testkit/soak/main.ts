// `npm run soak`: see --help. Needs root; leaves nothing behind.
import "../../schema/supported-node.ts";
import { parseFlags, stop as stopProgram } from "../lab/flags.ts";
import { whyNoLab } from "../lab/lab.ts";
import { soak } from "./soak.ts";
import { describe } from "./usage.ts";

const help = `Usage: npm run soak -- [options]

Random operations on five hosts in network namespaces of this machine: VMs registered, moved, deleted and asked for, agents
and the controller killed, the controller cut off, entries deleted by hand. After every six of them the tables of all
hosts must equal the inventory; guests that ping each other all the time must lose nothing; no frame may cross networks; memory
and file descriptors of programs that are not killed must stay flat. Needs root, and leaves nothing behind.

Options:
  --hours <n>    how long, 0.01 … 168; may be a fraction
  --minutes <n>  the same in minutes (default 10)
  --json         print the result as one JSON object
  --help         print this

Exit status: 0 if all checks passed, 1 if not, 2 for wrong options.
`;

function stop(message: string, status: number): never {
  return stopProgram("soak", message, status);
}

async function main(): Promise<number> {
  const {
    hours,
    minutes,
    json,
    help: wantsHelp,
  } = parseFlags("soak", {
    hours: { type: "string" },
    minutes: { type: "string" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  });
  if (wantsHelp) {
    process.stdout.write(help);
    return 0;
  }
  const asked = hours === undefined ? Number(minutes ?? 10) : Number(hours) * 60;
  if (!(asked >= 0.6 && asked <= 168 * 60)) stop("write --hours from 0.01 to 168, or --minutes from 0.6 to 10080", 2);
  const obstacle = whyNoLab();
  if (obstacle !== undefined) stop(`${obstacle}: run it with sudo`, 1);
  const onTerminal = process.stderr.isTTY === true;
  const result = await soak(asked, (text) => {
    if (onTerminal) process.stderr.write(`\r\x1b[K${text}`);
  });
  if (onTerminal) process.stderr.write("\r\x1b[K");
  if (json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else {
    const { comparisons, slowestMs, packets, growth, failures } = result;
    const lines = [
      ...Object.entries(result.operations).map(([name, count]) => `${String(count).padStart(6)}  ${name}`),
      `${comparisons} comparisons of all tables with the inventory, equal after ${slowestMs} ms at most`,
      `${packets.sent} packets of running flows, ${packets.lost} lost`,
      ...Object.entries(growth).map(([name, each]) => `${name}: ${describe(each)}`),
      ...failures.map((failure) => `FAILED: ${failure}`),
      failures.length === 0 ? `${asked} min, all checks passed` : `${failures.length} FAILED`,
    ];
    process.stdout.write(`${lines.join("\n")}\n`);
  }
  return result.failures.length === 0 ? 0 : 1;
}

process.exit(await main());
