// `npm run fault`: injects every fault while guests communicate, and prints the cost. Needs root; leaves nothing
// behind.
import "../../schema/supported-node.ts";
import { parseFlags, stop as stopProgram } from "../lab/flags.ts";
import { whyNoLab } from "../lab/lab.ts";
import { type Fault, type FaultResult, sizes } from "./fault.ts";
import { allFaults } from "./faults/all.ts";
import { randomHistories } from "./faults/histories.ts";
import { Lane } from "./lane.ts";
import { reportHead, reportLine } from "./report.ts";

const help = `Usage: npm run fault [-- options]

Injects faults into three hosts, their agents and their controller, in network namespaces of this machine, while guests
ping each other over IPv4 and IPv6. After each: every entry of every host equals the inventory, no VM is on its own host's
tunnel, no frame crossed networks, and no packet was lost where none may be. Needs root, and leaves nothing behind.

Options:
  --short         as in npm test: a partition of 20 s instead of ten minutes, an overrun of 5 s instead of 60 s
  --only <text>   only faults whose name contains this; may be repeated
  --histories <n> only random histories, so many of them
  --list          print the names
  --json          print the results as one JSON object
  --help          print this

Exit status: 0 if all checks passed, 1 if not, 2 for wrong options.
`;

function stop(message: string, status: number): never {
  return stopProgram("fault", message, status);
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) stop(`--histories requires a number from 1, not "${text}"`, 2);
  return count;
}

function choose(texts: readonly string[]): readonly Fault[] {
  const unknown = texts.find((text) => !allFaults.some(({ name }) => name.includes(text)));
  if (unknown !== undefined) stop(`no fault's name contains "${unknown}" (--list prints the names)`, 2);
  return texts.length === 0 ? allFaults : allFaults.filter(({ name }) => texts.some((text) => name.includes(text)));
}

async function main(): Promise<number> {
  const {
    short,
    only,
    histories,
    list,
    json,
    help: wantsHelp,
  } = parseFlags("fault", {
    short: { type: "boolean", default: false },
    only: { type: "string", multiple: true, default: [] },
    histories: { type: "string" },
    list: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  });
  if (wantsHelp) process.stdout.write(help);
  else if (list) process.stdout.write(allFaults.map(({ name }) => `${name}\n`).join(""));
  if (wantsHelp || list) return 0;
  const faults = histories === undefined ? choose(only) : [randomHistories];
  const obstacle = whyNoLab();
  if (obstacle !== undefined) stop(`${obstacle}: run it with sudo`, 1);
  const form = short ? sizes.short : sizes.long;
  const size = histories === undefined ? form : { ...form, histories: parseCount(histories) };
  const lane = new Lane(size);
  const results: FaultResult[] = [];
  if (!json) process.stdout.write(reportHead());
  for (const fault of faults) {
    const result = await lane.run(fault);
    results.push(result);
    if (!json) process.stdout.write(reportLine(result));
  }
  await lane.close();
  const failed = results.filter(({ failures }) => failures.length > 0).length;
  if (json) process.stdout.write(`${JSON.stringify({ size, results })}\n`);
  else process.stdout.write(`\n${results.length} faults, ${failed === 0 ? "all checks passed" : `${failed} FAILED`}\n`);
  return failed === 0 ? 0 : 1;
}

process.exit(await main());
