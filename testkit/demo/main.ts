// `npm run demo`: builds a lab, tells the story, and removes everything again.
import "../../schema/supported-node.ts";
import { parseArgs } from "node:util";
import { createLab, type Lab, whyNoLab } from "../lab/lab.ts";
import { hostNames } from "./cast.ts";
import { copyBroadcasts } from "./chapters/broadcasts.ts";
import { deleteVm, restartPrograms, stopPrograms } from "./chapters/ending.ts";
import { firstPacket, sameInIpv6 } from "./chapters/first-packet.ts";
import { moveVm } from "./chapters/move.ts";
import { moveAddress } from "./chapters/moving-address.ts";
import { registerInventory, startPrograms } from "./chapters/setting.ts";
import { twoNetworks } from "./chapters/two-networks.ts";
import { Checks } from "./checks.ts";
import { Stage } from "./stage.ts";
import { Story } from "./story.ts";
import { type Summary, summarize, tellSummary } from "./summary.ts";
import { Watch } from "./watch.ts";

const help = `Usage: npm run demo [-- options]

Three hosts, a controller and two tenants in network namespaces of this machine: shows every neighbour miss, its answer
and the resulting kernel entries. Takes about 20 s, needs root, and leaves nothing behind.

Options:
  --full   with chapters on what is optional: broadcasts between hosts, addresses that move between guests
  --keep   leave everything running at the end, say how to enter it, and remove it on Ctrl-C
  --json   print the summary as one JSON object on standard output; the story goes to standard error
  --help   print this
  --no-install   before it starts: install no missing programs, say how to

Exit status: 0 if all expectations were met, 1 if not, 2 for wrong options, 128 + n when ended by signal n.
`;

const signalNumbers = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const;
type EndingSignal = keyof typeof signalNumbers;

const beginning = [startPrograms, registerInventory, firstPacket, sameInIpv6, twoNetworks];
/** Of `--full`. */
const optional = [copyBroadcasts, moveAddress];
const ending = [moveVm, deleteVm, stopPrograms];

/** Plays all chapters; one that fails ends the story and is named in the summary. */
async function play(
  lab: Lab,
  story: Story,
  startMs: number,
  isFull: boolean,
): Promise<{ stage: Stage; summary: Summary }> {
  const hostOf = (vtep: string) => lab.hosts.find((host) => host.address === vtep)?.name ?? "?";
  const stage = new Stage(lab, story, new Checks(story), new Watch(story, hostOf));
  let error: string | undefined;
  try {
    for (const chapter of [...beginning, ...(isFull ? optional : []), ...ending]) await chapter(stage);
  } catch (failure) {
    error = failure instanceof Error ? failure.message : String(failure);
  }
  const summary = await summarize(stage, startMs);
  return { stage, summary: error === undefined ? summary : { ...summary, ok: false, error } };
}

function tellHowToEnter(lab: Lab, story: Story): void {
  story.title("Still running");
  story.blank();
  const guest = `${lab.prefix}-vm-blue-web`;
  story.say("Enter a guest, or look at a host:");
  story.note(`ip netns exec ${guest} ping 10.20.1.2`);
  story.note(`ip netns exec ${lab.host("a").namespace} bridge fdb show dev nmv100`);
  story.note(`ip netns exec ${lab.host("a").namespace} ip monitor neigh`);
  story.say("Ask the controller:");
  const { token, ca } = lab.operatorFiles;
  const curl = `curl --cacert ${ca} -H "Authorization: Bearer $(cat ${token})"`;
  story.note(`ip netns exec ${lab.controllerNamespace.namespace} ${curl} ${lab.controllerUrl}/v1/vms`);
  story.blank();
  story.say(`Remove everything with Ctrl-C here, or with \`kill ${process.pid}\` from elsewhere.`);
}

/** The first signal; later ones find the demo leaving already. */
function endingSignal(): Promise<EndingSignal> {
  return new Promise((resolve) => {
    for (const signal of Object.keys(signalNumbers) as EndingSignal[]) process.on(signal, () => resolve(signal));
  });
}

interface Flags {
  readonly keep?: boolean | undefined;
  readonly json?: boolean | undefined;
  readonly full?: boolean | undefined;
}

/** @returns the exit status; by then nothing is left */
async function demo(flags: Flags): Promise<number> {
  const story = new Story(flags.json ? process.stderr : process.stdout);
  const startMs = performance.now();
  const interrupted = endingSignal();
  let lab: Lab | undefined;
  const show = async (): Promise<Summary> => {
    story.title("nearmiss: the control plane for Linux VXLAN that answers the kernel's neighbour misses");
    lab = await createLab({ hosts: hostNames, underlay: 4, secured: true });
    const { stage, summary } = await play(lab, story, startMs, flags.full === true);
    if (flags.keep && summary.error === undefined) await restartPrograms(stage);
    tellSummary(story, summary);
    if (flags.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
    if (flags.keep) tellHowToEnter(lab, story);
    return summary;
  };
  try {
    const outcome = await Promise.race([show(), interrupted]);
    if (typeof outcome === "string") {
      story.blank();
      story.say(`${outcome}: removing everything.`);
      return 128 + signalNumbers[outcome];
    }
    if (flags.keep) await interrupted;
    return outcome.ok ? 0 : 1;
  } finally {
    story.end();
    await lab?.remove();
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      full: { type: "boolean" },
      keep: { type: "boolean" },
      json: { type: "boolean" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  const obstacle = whyNoLab();
  if (obstacle === undefined) return demo(values);
  process.stderr.write(`nearmiss demo: ${obstacle}: run \`sudo npm run demo\`\n`);
  return 1;
}

// A reader that closes (`| head`) ends the demo; the lab is removed with the process.
process.stdout.on("error", () => process.exit(1));

main().then(
  (status) => process.exit(status),
  (error: unknown) => {
    const wrongOption =
      error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS");
    const text =
      error instanceof Error
        ? wrongOption
          ? `${error.message}\n\n${help}`
          : (error.stack ?? error.message)
        : String(error);
    process.stderr.write(`nearmiss demo: ${text.trimEnd()}\n`);
    process.exit(wrongOption ? 2 : 1);
  },
);
