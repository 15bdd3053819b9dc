// A change that hosts have to follow: sent, and told as they confirm it.
import { randomUUID } from "node:crypto";
import type { MoveLine, MoveView } from "../schema/index.ts";
import type { Client } from "./client.ts";
import { CliError } from "./errors.ts";

type Outcome = Pick<MoveView, "revision" | "confirmed" | "of" | "slowestMs" | "unconfirmed" | "dryRun">;
type Progress = Exclude<MoveLine, { readonly type: "result" }>;

export interface Wait {
  readonly wait?: boolean;
  readonly timeout?: number;
  readonly dryRun?: boolean;
}

/** How long the controller may be silent beside what it was asked to wait. */
const marginMs = 10_000;
const defaultTimeoutMs = 10_000;

/** Sends the change, and says each confirmation as it comes. @throws CliError @returns the answer */
export async function* confirmed<Answer extends Outcome>(
  client: Client,
  path: string,
  body: object,
  { wait = false, timeout = defaultTimeoutMs, dryRun = false }: Wait,
): AsyncGenerator<string, Answer> {
  const asked = wait ? { ...body, wait, timeoutMs: timeout } : body;
  if (dryRun) return client.call<Answer>("POST", path, { body: asked, query: { dryRun } });
  const lines = client.lines<Progress | ({ readonly type: "result" } & Answer)>("POST", path, {
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
  throw new CliError("the controller's answer broke off: the same command again shows how far it is", 1);
}

function describeProgress(line: Progress): string {
  if (line.type === "committed") return `revision ${line.revision}: ${hostsText(line.of)} to confirm\n`;
  return `  ${line.host} confirmed after ${line.ms} ms (${line.confirmed} of ${line.of})\n`;
}

/** How far it has come, and who is missing. */
export function describeOutcome({ revision, confirmed, of, slowestMs, unconfirmed, dryRun }: Outcome): string {
  if (dryRun) return `a dry run: ${hostsText(of)} would have to confirm\n`;
  const slowest = slowestMs === null ? "" : `, slowest ${slowestMs} ms`;
  const missing = unconfirmed.map(({ host, why }) => `  ${host} has not: ${why}\n`);
  return `revision ${revision}: ${confirmed} of ${hostsText(of)} confirmed${slowest}\n${missing.join("")}`;
}

/** With `--wait` a script learns by the status that somebody has not followed; the change stands all the same. */
export function noteUnconfirmed({ unconfirmed }: Outcome, { wait }: Wait): void {
  if (wait && unconfirmed.length > 0) process.exitCode = 1;
}

function hostsText(count: number): string {
  return count === 1 ? "1 host" : `${count} hosts`;
}
