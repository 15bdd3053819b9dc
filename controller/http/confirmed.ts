// Answers to changes that hosts have to confirm: at once, when all have, or line by line.
import { Readable } from "node:stream";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Revision } from "../../schema/address/index.ts";
import { type ConfirmationView, defaultWaitMs, type ProgressLine, type WaitInput } from "../../schema/rest/index.ts";
import { type TSchema, Type } from "../../schema/typebox.ts";
import type { MoveWatch } from "../agents/move-watch.ts";
import type { Outcome } from "../write/orders.ts";
import { actorOf } from "./caller.ts";
import { changeHeaders, noteOutcome, postHeaders } from "./conditions.ts";
import { writeHeaders } from "./responses.ts";

const ndjson = "application/x-ndjson";

export const confirmedHeaders = Type.Object({
  ...changeHeaders.properties,
  ...postHeaders.properties,
  accept: Type.Optional(
    Type.String({ description: `${ndjson}: a line for each confirmation as it comes`, examples: [ndjson] }),
  ),
});

/** For a route's `response`. As an object, since the type provider knows nothing of two forms of one answer. */
export function confirmedAnswer(view: TSchema, line: TSchema): object {
  return {
    description: "The result; as NDJSON, one line per confirmation while hosts confirm",
    headers: writeHeaders,
    content: { "application/json": { schema: view }, [ndjson]: { schema: line } },
  };
}

export interface Confirmable {
  readonly outcome: Outcome;
  /** Begun for what `outcome` has changed, or would have to change. */
  readonly watch: MoveWatch;
  /** The content of the answer in addition to the confirmations. */
  readonly told: object;
  /** Disconnected hosts that have the former place in memory only. */
  readonly remembered: readonly string[];
  /** The present one, which a dry run leaves. */
  readonly present: Revision;
}

/** Also for disconnected hosts that have the former place in memory only. */
export function waitsForAll({ body }: FastifyRequest): boolean {
  return (body as WaitInput | null)?.wait === "all";
}

export async function answerConfirmed(
  request: FastifyRequest,
  reply: FastifyReply,
  { outcome, watch, told: about, remembered, present }: Confirmable,
): Promise<object> {
  const told = { ...about, ...(remembered.length > 0 ? { remembered } : {}) };
  const { wait = false, timeoutMs: asked = defaultWaitMs } = (request.body ?? {}) as WaitInput;
  const timeoutMs = wait !== false && !outcome.dryRun ? asked : 0;
  const isWhole = actorOf(request).scope === "all";
  noteOutcome(reply, outcome);
  if (outcome.dryRun) {
    const nothing: ConfirmationView = {
      revision: present,
      confirmed: 0,
      of: watch.counts.of,
      slowestMs: null,
      unconfirmed: [],
    };
    return { ...told, ...nothing, dryRun: true };
  }
  const view = () => {
    const counted: ConfirmationView = {
      revision: watch.revision,
      ...watch.counts,
      unconfirmed: watch.unconfirmed(timeoutMs, isWhole),
    };
    return { ...told, ...counted };
  };
  if (request.headers.accept?.includes(ndjson)) {
    return reply.type(ndjson).send(Readable.from(lines(watch, timeoutMs, view), { objectMode: false }));
  }
  for await (const _ of watch.until(timeoutMs));
  return view();
}

async function* lines(watch: MoveWatch, timeoutMs: number, result: () => object): AsyncGenerator<string> {
  const { revision } = watch;
  yield line({ type: "committed", revision, of: watch.counts.of });
  for await (const { host, ms, confirmed, of } of watch.until(timeoutMs)) {
    yield line({ type: "confirmed", host, ms, confirmed, of });
  }
  yield `${JSON.stringify({ type: "result", ...result() })}\n`;
}

function line(content: ProgressLine): string {
  return `${JSON.stringify(content)}\n`;
}
