// `nearmiss events`: what has changed, and what changes.
import { type Command, InvalidArgumentError } from "../../common/commander.ts";
import { defined } from "../../common/defined.ts";
import { findDurationMs } from "../../common/duration.ts";
import type { LogView } from "../../schema/events/index.ts";
import type { Client } from "../client.ts";
import { addConnectionOptions, type ConnectionOptions, connect, connectionHelp } from "../connection.ts";
import { action, addOutputOption, formatNext, type OutputOptions, printable } from "../output.ts";

interface EventsOptions extends ConnectionOptions, OutputOptions {
  readonly since?: string;
  readonly follow?: boolean;
  readonly network?: string;
  readonly host?: string;
  readonly type?: string;
}

export function addEventsCommand(program: Command): void {
  addOutputOption(addConnectionOptions(program.command("events")), "text")
    .summary("print past and current changes")
    .description(
      "Prints one line per change: time, position in the log, what happened. With --follow, prints new changes and operational\n" +
        "events of hosts (without a position) until interrupted; after a lost connection it resumes where it stopped.",
    )
    .option(
      "--since <position>",
      "only changes after this revision or event, or of the last time such as 30m, 1h or 7d (default: 0, with --follow now)",
      parsePosition,
    )
    .option("-F, --follow", "keep printing new changes")
    .option("--network <name>", "only changes of this network and of VMs in it")
    .option("--host <name>", "only changes of this host and of VMs on it")
    .option("--type <type>", "only events of this type, such as nearmiss.vm or nearmiss.operational")
    .addHelpText("after", connectionHelp)
    .action(
      action(async function* ({ since, follow, network, host, type, output, ...options }: EventsOptions) {
        const { followEvents } = await import("../event-stream.ts");
        const { describeEvent } = await import("../event-text.ts");
        const client = await connect(options);
        const ageMs =
          since === undefined ? undefined : findDurationMs(since, { minMs: 1, maxMs: Number.MAX_SAFE_INTEGER });
        const position = ageMs === undefined ? since : await revisionBefore(client, Date.now() - ageMs);
        const from = position ?? (follow ? undefined : "0");
        const stream = followEvents(client, {
          ...defined({ since: from }),
          filters: { network, host, type },
          onLost: (reason) => process.stderr.write(`nearmiss: ${reason}: trying again\n`),
        });
        for await (const event of stream) {
          // The end of the log is reached.
          if (event.type === "nearmiss.bookmark" && !follow) return;
          const text = describeEvent(event);
          if (text !== undefined) yield formatNext(output, event, () => `${printable(text)}\n`);
        }
      }),
    );
}

/** The last revision before this time, by the log backwards: what is needed of it is read, and no more. */
async function revisionBefore(client: Client, ms: number): Promise<string> {
  let before: string | undefined;
  let oldest: LogView["events"][number] | undefined;
  do {
    const page: LogView = await client.call("GET", "/v1/log", { query: { before, limit: 500 } });
    const older = page.events.find(({ time }) => Date.parse(time) < ms);
    if (older) return String(older.revision);
    oldest = page.events.at(-1) ?? oldest;
    before = page.next;
  } while (before !== undefined);
  // The log may begin later: older changes are compacted.
  if (oldest) return String(oldest.revision - 1);
  return String((await client.call<{ revision: number }>("GET", "/readyz")).revision);
}

function parsePosition(text: string): string {
  if (findDurationMs(text, { minMs: 1, maxMs: Number.MAX_SAFE_INTEGER }) !== undefined) return text;
  if (!/^([0-9a-f-]{36}\/)?\d{1,15}(\.\d{1,9})?$/.test(text)) {
    throw new InvalidArgumentError(
      "Write a revision such as 17, an event's position such as 17.3, or a time such as 1h.",
    );
  }
  return text;
}
