// `npm run dev`: controller, agents and dashboard from source, each reloaded when it changes.
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseFlags, stop } from "../lab/flags.ts";
import { whyNoLab } from "../lab/lab.ts";
import { type DashboardServer, serveDashboard } from "./dashboard.ts";
import { Programs } from "./programs.ts";
import { programFolders, Sources } from "./sources.ts";
import { controllerStage, labStage, readToken, type Stage } from "./stage.ts";
import { watchFolders } from "./watch.ts";

const help = `Usage: npm run dev [-- options]

Runs controller and dashboard from source, and as root a lab of two hosts with two guests each in network namespaces. A change of
a source restarts the programs that it belongs to, or reloads the page. Types are not checked. Ctrl-C removes everything.

Options:
  --port <n>             of the dashboard on 127.0.0.1, default 5173; 0 takes a free one
  --controller-port <n>  of the controller on 127.0.0.1, default 4788; 0 takes a free one
  --no-lab               only controller and dashboard, as without root
  --help                 print this

Exit status: 128 + n when ended by signal n, 1 if it cannot start, 2 for wrong options.
`;

/** Valid from dist/testkit/dev/ as well as from testkit/dev/. */
const root = ((here: string) => (here.endsWith("/dist") ? dirname(here) : here))(
  dirname(dirname(dirname(fileURLToPath(import.meta.url)))),
);
const tree = join(root, ".dev");
const signalNumbers = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const;
type EndingSignal = keyof typeof signalNumbers;

function say(who: string, text: string): void {
  for (const line of text.split("\n")) process.stdout.write(`${who.padEnd(10)} │ ${line}\n`);
}

function parsePort(text: string, flag: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) stop("dev", `--${flag} "${text}" is not a port (0 … 65535)`, 2);
  return Number(text);
}

/** The first signal ends everything in order; one more ends the process at once, and the lab with it (testkit/lab/cleanup.ts). */
function endingSignal(): Promise<EndingSignal> {
  return new Promise((resolve) => {
    let isEnding = false;
    for (const signal of Object.keys(signalNumbers) as EndingSignal[]) {
      process.on(signal, () => {
        if (isEnding) process.exit(128 + signalNumbers[signal]);
        isEnding = true;
        resolve(signal);
      });
    }
  });
}

interface Options {
  readonly port: number;
  readonly controllerPort: number;
  readonly lab: boolean;
}

/** Everything that was started, so that it can be ended at any time. */
interface Running {
  stage?: Stage;
  programs?: Programs;
  dashboard?: DashboardServer;
  unwatch?: () => void;
}

async function start(options: Options, running: Running): Promise<void> {
  const sources = new Sources(root, join(tree, "dist"));
  await sources.compileAll();
  process.env.NEARMISS_CONTROLLER_TREE = tree;
  process.env.NEARMISS_AGENT_TREE = tree;
  const stage = options.lab
    ? await labStage(options.controllerPort)
    : await controllerStage(options.controllerPort, join(tree, "dist", "bin", "nearmiss.js"));
  running.stage = stage;
  const programs = new Programs(stage.programs, say);
  running.programs = programs;
  running.unwatch = follow(sources, programs);
  await programs.startAll();
  const ca = stage.files.ca === undefined ? {} : { ca: await readFile(stage.files.ca, "utf8") };
  const dashboard = await serveDashboard({ root, port: options.port, target: stage.url, ...ca });
  running.dashboard = dashboard;
  const guests = await stage.populate();
  await introduce(stage, dashboard, guests);
}

function follow(sources: Sources, programs: Programs): () => void {
  return watchFolders(root, programFolders, (file) => {
    sources.compile(file).then(
      (isNew) => {
        if (isNew) programs.changed(file);
      },
      (error: unknown) => say("dev", error instanceof Error ? error.message : String(error)),
    );
  });
}

async function introduce(stage: Stage, dashboard: DashboardServer, guests: readonly string[]): Promise<void> {
  say("dev", `dashboard   ${dashboard.url}`);
  say("dev", `controller  ${stage.url}`);
  say("dev", `token       ${await readToken(stage)}`);
  if (stage.files.ca !== undefined) say("dev", `CA          ${stage.files.ca}`);
  for (const line of guests) say("dev", `guest       ${line}`);
  say("dev", "ready: change a source, or end with Ctrl-C");
}

/** @returns the exit status; by then nothing is left */
async function dev(options: Options): Promise<number> {
  const running: Running = {};
  const ended = endingSignal();
  const starting = start(options, running);
  try {
    const first = await Promise.race([starting, ended]);
    const signal = first ?? (await ended);
    say("dev", `${signal}: removing everything`);
    return 128 + signalNumbers[signal];
  } finally {
    // A lab that is still being made at this point is removed when the process exits (testkit/lab/cleanup.ts).
    running.unwatch?.();
    await running.programs?.settle();
    await running.dashboard?.close();
    await running.stage?.remove();
  }
}

async function main(): Promise<number> {
  const flags = parseFlags("dev", {
    port: { type: "string", default: "5173" },
    "controller-port": { type: "string", default: "4788" },
    "no-lab": { type: "boolean" },
    help: { type: "boolean", short: "h" },
  });
  if (flags.help) {
    process.stdout.write(help);
    return 0;
  }
  const obstacle = flags["no-lab"] ? "--no-lab" : whyNoLab();
  if (obstacle !== undefined) say("dev", `no hosts and guests (${obstacle}): only controller and dashboard`);
  return dev({
    port: parsePort(flags.port, "port"),
    controllerPort: parsePort(flags["controller-port"], "controller-port"),
    lab: obstacle === undefined,
  });
}

main().then(
  (status) => process.exit(status),
  (error: unknown) => {
    process.stderr.write(`nearmiss dev: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  },
);
