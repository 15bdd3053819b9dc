// Moves of VMs as operators need them: to another host, and back with an answer when every host has followed.
import { Readable } from "node:stream";
import type { FastifyReply, FastifyRequest } from "fastify";
import { Type } from "typebox";
import {
  defaultWaitMs,
  MoveInput,
  type MoveLine,
  MoveLine as MoveLineShape,
  MoveView,
  Name,
  type Vm,
  type WaitInput,
} from "../../schema/index.ts";
import type { AgentChannel } from "../agents/agent-channel.ts";
import { movesIn, type VmMove } from "../agents/holders.ts";
import type { MoveWatch } from "../agents/move-watch.ts";
import type { Committer, Outcome } from "../committer.ts";
import type { Mutation } from "../inventory/decide.ts";
import type { App } from "./app-types.ts";
import { actorOf } from "./caller.ts";
import { changeHeaders, dryRunQuery, etagOf, noteOutcome, postHeaders } from "./conditions.ts";
import { bodyProblems, problems, writeHeaders, writeProblems } from "./responses.ts";
import { submit } from "./submit.ts";

const ndjson = "application/x-ndjson";

const moveHeaders = Type.Object({
  ...changeHeaders.properties,
  ...postHeaders.properties,
  accept: Type.Optional(
    Type.String({ description: `${ndjson}: a line for each confirmation as it comes`, examples: [ndjson] }),
  ),
});

// As an object the type provider leaves the handler's answer alone: it is one of two.
const moveAnswer: object = {
  description: "What the move has come to; as NDJSON line by line while hosts confirm",
  headers: writeHeaders,
  content: { "application/json": { schema: MoveView }, [ndjson]: { schema: MoveLineShape } },
};

export function moveRoutes(app: App, { committer, agents }: { committer: Committer; agents: AgentChannel }): void {
  const move = async (request: FastifyRequest, reply: FastifyReply, mutation: Mutation): Promise<object> => {
    const { wait = false, timeoutMs = defaultWaitMs } = request.body as WaitInput;
    const outcome = await submit(committer, request, mutation);
    const answer = beginMove(agents, outcome, wait ? timeoutMs : 0, actorOf(request).scope === "all");
    noteOutcome(reply, outcome);
    if (!outcome.dryRun) reply.header("etag", etagOf(answer.vm.revision));
    if (!outcome.dryRun && request.headers.accept?.includes(ndjson)) {
      return reply.type(ndjson).send(Readable.from(answer.lines(), { objectMode: false }));
    }
    return answer.whole();
  };

  app.post(
    "/v1/vms/:name/move",
    {
      config: { access: "write" },
      schema: {
        tags: ["vms"],
        operationId: "moveVm",
        summary: "Move a VM to another host, and learn when every host has followed",
        description:
          "With `wait` the answer comes when every host that holds the VM has confirmed that its kernel follows, or at " +
          "the deadline with those that have not and why. The move is done in either case.",
        params: Type.Object({ name: Name }),
        querystring: Type.Object(dryRunQuery, { additionalProperties: false }),
        headers: moveHeaders,
        body: MoveInput,
        response: {
          200: moveAnswer,
          ...problems(
            "not-found",
            "precondition-failed",
            "unknown-reference",
            "limit-exceeded",
            "mixed-underlay",
            "idempotency-key-reused",
            ...bodyProblems,
            ...writeProblems,
          ),
        },
      },
    },
    async (request, reply) => {
      const { host } = request.body;
      return move(request, reply, { kind: "vm.patch", name: request.params.name, patch: { host } });
    },
  );
}

interface MoveAnswer {
  readonly vm: Vm;
  /** When the wait is over. */
  whole(): Promise<MoveView>;
  /** The same as it goes. */
  lines(): AsyncGenerator<string>;
}

function beginMove(agents: AgentChannel, outcome: Outcome, timeoutMs: number, isWhole: boolean): MoveAnswer {
  const [move] = movesIn(outcome.touched);
  if (!move) throw new Error("no VM was moved");
  const watch = agents.moves.begin([move], move.after.revision);
  const confirmations = () => watch.until(outcome.dryRun ? 0 : timeoutMs);
  const view = () => viewOf(outcome, move, watch, timeoutMs, isWhole);
  return {
    vm: move.after,
    whole: async () => {
      for await (const _ of confirmations());
      return view();
    },
    lines: async function* () {
      const { revision } = watch;
      yield line({ type: "committed", revision, of: watch.counts.of });
      for await (const { host, ms } of confirmations()) {
        const { confirmed, of } = watch.counts;
        yield line({ type: "confirmed", host, ms, confirmed, of });
      }
      yield line({ type: "result", ...view() });
    },
  };
}

function viewOf(outcome: Outcome, { before, after }: VmMove, watch: MoveWatch, timeoutMs: number, isWhole: boolean) {
  const told = { vm: after.name, from: before.host, to: after.host };
  if (outcome.dryRun) {
    const counts = { confirmed: 0, of: watch.counts.of, slowestMs: null, unconfirmed: [] };
    return { ...told, revision: before.revision, ...counts, dryRun: true };
  }
  const { revision } = watch;
  return { ...told, revision, ...watch.counts, unconfirmed: watch.unconfirmed(timeoutMs, isWhole) };
}

function line(content: MoveLine): string {
  return `${JSON.stringify(content)}\n`;
}
