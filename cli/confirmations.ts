// Sends a change that hosts must confirm, and prints the confirmations.
import { randomUUID } from "node:crypto";
import { type Command, Option } from "../common/commander.ts";
import type { MoveView, ProgressLine } from "../schema/rest/index.ts";
import type { Client } from "./client.ts";
import { type ConnectionOptions, connect } from "./connection.ts";
import { parseDuration } from "./durations.ts";
import { CliError } from "./errors.ts";
import { format, type OutputOptions } from "./output.ts";

type Outcome = Pick<MoveView, "revision" | "confirmed" | "of" | "slowestMs" | "unconfirmed" | "remembered" | "dryRun">;

export interface WaitOptions extends ConnectionOptions, OutputOptions {
  readonly wait?: boolean | "all";
  readonly timeout?: number;
  readonly dryRun?: boolean;
}

/** How long the controller may be silent in addition to the requested wait. */
const marginMs = 10_000;
const defaultTimeoutMs = 10_000;

export function addWaitOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        "--wait [hosts]",
        "return when every host that it concerns has confirmed; `all`: also disconnected hosts that only have it in memory",
      ).choices(["all"]),
    )
    .option("--timeout <time>", "how long to wait, at most 60s (default: 10s)", parseDuration)
    .option("--dry-run", "check everything, change nothing");
}

/** Sends the change, and prints each confirmation as it comes and the outcome. @throws CliError */
export async function* withProgress<Answer extends Outcome>(
  path: string,
  body: object,
  options: WaitOptions,
  describe: (answer: Answer) => string,
): AsyncGenerator<string> {
  const lines = sent<Answer>(await connect(options), path, body, options);
  for (;;) {
    const { done, value } = await lines.next();
    if (!done) {
      if (options.output === "table") yield value;
      continue;
    }
    // The exit status tells a script that a host has not confirmed; the change stays in effect.
    if (options.wait && value.unconfirmed.length > 0) process.exitCode = 1;
    yield await format(options.output, value, () => `${describe(value)}, ${describeOutcome(value)}`);
    return;
  }
}

/** Says each confirmation. @throws CliError @returns the answer */
async function* sent<Answer extends Outcome>(
  client: Client,
  path: string,
  body: object,
  { wait = false, timeout = defaultTimeoutMs, dryRun = false }: WaitOptions,
): AsyncGenerator<string, Answer> {
  const asked = wait ? { ...body, wait, timeoutMs: timeout } : body;
  if (dryRun) return client.call<Answer>("POST", path, { body: asked, query: { dryRun } });
  const lines = client.lines<ProgressLine | ({ readonly type: "result" } & Answer)>("POST", path, {
    body: JSON.stringify(asked),
    headers: {
      accept: "application/x-ndjson",
      "content-type": "application/json",
      "idempotency-key": `"${randomUUID()}"`,
    },
    timeoutMs: timeout + marginMs,
  });
  for await (const line of lines) {
    if (line.type === "result") {
      const { type: _type, ...answer } = line;
      return answer as unknown as Answer;
    }
    if (wait) yield describeProgress(line);
  }
  throw new CliError("the controller's answer ended early: run the same command again to see the progress", 1);
}

function describeProgress(line: ProgressLine): string {
  if (line.type === "committed") return `revision ${line.revision}: ${hostsText(line.of)} to confirm\n`;
  return `  ${line.host} confirmed after ${line.ms} ms (${line.confirmed} of ${line.of})\n`;
}

/** The progress, and the missing hosts. */
function describeOutcome({ revision, confirmed, of, slowestMs, unconfirmed, remembered, dryRun }: Outcome): string {
  if (dryRun) return `a dry run: ${hostsText(of)} would have to confirm\n`;
  const slowest = slowestMs === null ? "" : `, slowest ${slowestMs} ms`;
  const missing = unconfirmed.map(({ host, why }) => `  ${host} has not: ${why}\n`);
  const memory = (remembered ?? []).map(
    (host) => `  ${host} is disconnected and has the former place in memory: a new conversation there would go to it\n`,
  );
  return `revision ${revision}: ${confirmed} of ${hostsText(of)} confirmed${slowest}\n${[...missing, ...memory].join("")}`;
}

function hostsText(count: number): string {
  return count === 1 ? "1 host" : `${count} hosts`;
}
