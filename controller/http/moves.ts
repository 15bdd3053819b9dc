// Moves of VMs as operators need them: at once, or as a live migration that is prepared, then committed or aborted.
import type { FastifyReply, FastifyRequest } from "fastify";
import { defined } from "../../common/defined.ts";
import type { ProblemType } from "../../schema/plain/index.ts";
import {
  AbortInput,
  CommitInput,
  MoveInput,
  MoveLine,
  type MoveView,
  MoveView as moveShape,
  Name,
  PrepareInput,
} from "../../schema/rest/index.ts";
import { type TSchema, Type } from "../../schema/typebox.ts";
import type { AgentChannel } from "../agents/agent-channel.ts";
import { hostsOf } from "../inventory/hosts-of.ts";
import { movesIn, type VmMove } from "../inventory/vm-moves.ts";
import type { VmMutation } from "../inventory/vm-mutations.ts";
import type { Committer } from "../write/committer.ts";
import type { App } from "./app-types.ts";
import { dryRunQuery, etagOf } from "./conditions.ts";
import { answerConfirmed, confirmedAnswer, confirmedHeaders, waitsForAll } from "./confirmed.ts";
import { bodyProblems, problems, writeProblems } from "./responses.ts";
import { submit } from "./submit.ts";

interface Verb {
  readonly verb: "move" | "prepare" | "commit" | "abort";
  readonly summary: string;
  readonly description: string;
  readonly body: TSchema;
  readonly problems: readonly ProblemType[];
  readonly mutation: (name: string, body: { readonly host?: string }) => VmMutation;
  readonly told: (move: VmMove) => Pick<MoveView, "from" | "to">;
  /** The hosts that must confirm; absent: the holders of the VM. */
  readonly hosts?: (move: VmMove) => string[];
}

/** Problems when placing a VM on a host. */
const placing = [
  "unknown-reference",
  "host-down",
  "limit-exceeded",
  "mixed-underlay",
  "port-conflict",
  "quota-exceeded",
  "in-use",
] as const satisfies ProblemType[];

const fromHostToHost = ({ before, after }: VmMove) => ({ from: before.host, to: after.host });
/** Holders of the VM see no change: only the other host has work to do, and none for a VM without interfaces. */
const theOther = ({ before, after }: VmMove): string[] =>
  after.interfaces.length === 0
    ? []
    : [...new Set([...hostsOf(before), ...hostsOf(after)])].filter((host) => host !== after.host);

const verbs: readonly Verb[] = [
  {
    verb: "move",
    summary: "Move a VM to another host, and optionally wait until every host has confirmed",
    description:
      "With `wait` the answer is sent when every host that knows the VM has confirmed that its kernel is up to date, or at the " +
      "deadline with the hosts that have not, and why. The move is done in either case.",
    body: MoveInput,
    problems: placing,
    mutation: (name, { host = "" }) => ({ kind: "vm.patch", name, patch: { host } }),
    told: fromHostToHost,
  },
  {
    verb: "prepare",
    summary: "Start a live migration: set up the VM's networks on the other host",
    description:
      "The VM stays on its host and remains reachable there from all hosts, including the other host. With `wait` the answer " +
      "comes when that host has the bridges and, with `--anti-spoof`, the rules of the VM's ports.",
    body: PrepareInput,
    problems: [...placing, "migration-conflict"],
    mutation: (name, { host = "" }) => ({ kind: "vm.prepare", name, host }),
    told: ({ before, after }) => ({ from: before.host, to: after.preparedHost ?? after.host }),
    hosts: theOther,
  },
  {
    verb: "commit",
    summary: "Complete a live migration: the VM runs on the prepared host",
    description:
      "Takes one revision. The prepared host is updated first, then all hosts that know the VM. Otherwise like a move.",
    body: CommitInput,
    problems: [...placing, "migration-conflict"],
    mutation: (name, { host }) => ({ kind: "vm.commit", name, ...defined({ host }) }),
    told: fromHostToHost,
  },
  {
    verb: "abort",
    summary: "Cancel a live migration: the VM stays on its host",
    description:
      "Networks that the other host has only for this VM are removed from it. Without a migration nothing happens.",
    body: AbortInput,
    problems: ["port-conflict", "in-use"],
    mutation: (name) => ({ kind: "vm.abort", name }),
    told: ({ before, after }) => ({ from: before.preparedHost ?? before.host, to: after.host }),
    hosts: theOther,
  },
];

export function moveRoutes(app: App, deps: { committer: Committer; agents: AgentChannel }): void {
  for (const verb of verbs) moveRoute(app, verb, deps);
}

function moveRoute(app: App, verb: Verb, { committer, agents }: { committer: Committer; agents: AgentChannel }): void {
  const { summary, description, body } = verb;
  app.post(
    `/v1/vms/:name/${verb.verb}`,
    {
      config: { access: "write" },
      schema: {
        tags: ["vms"],
        operationId: `${verb.verb}Vm`,
        summary,
        description,
        params: Type.Object({ name: Name }),
        querystring: Type.Object(dryRunQuery, { additionalProperties: false }),
        headers: confirmedHeaders,
        body,
        response: {
          200: confirmedAnswer(moveShape, MoveLine),
          ...problems(
            "not-found",
            "precondition-failed",
            "idempotency-key-reused",
            ...verb.problems,
            ...bodyProblems,
            ...writeProblems,
          ),
        },
      },
    },
    async (request: FastifyRequest, reply: FastifyReply) => {
      const { name } = request.params as { name: string };
      const outcome = await submit(committer, request, verb.mutation(name, request.body as { host?: string }));
      const [move] = movesIn(outcome.touched);
      if (!move) throw new Error("no VM was touched");
      const { before, after } = move;
      const others = verb.hosts?.(move);
      const hosts = others ?? agents.moves.waitedFor([move], waitsForAll(request));
      const watch = agents.moves.begin(hosts, after.revision, true);
      if (!outcome.dryRun) reply.header("etag", etagOf(after.revision));
      const told = { vm: after.name, ...verb.told(move) };
      const remembered = others ? [] : agents.moves.rememberedBy([move]);
      return answerConfirmed(request, reply, { outcome, watch, told, remembered, present: before.revision });
    },
  );
}
