// All VMs of a host to other hosts, in one revision: for a host that is dead, or is to be.
import type { Revision } from "../../schema/address/index.ts";
import { EvacuateInput, EvacuationLine, EvacuationView, Name } from "../../schema/rest/index.ts";
import { Type } from "../../schema/typebox.ts";
import type { AgentChannel } from "../agents/agent-channel.ts";
import { movesIn } from "../inventory/vm-moves.ts";
import type { Committer } from "../write/committer.ts";
import type { App } from "./app-types.ts";
import { dryRunQuery } from "./conditions.ts";
import { answerConfirmed, confirmedAnswer, confirmedHeaders, waitsForAll } from "./confirmed.ts";
import { bodyProblems, problems, writeProblems } from "./responses.ts";
import { submit } from "./submit.ts";

export function evacuationRoutes(
  app: App,
  { committer, agents }: { committer: Committer; agents: AgentChannel },
): void {
  app.post(
    "/v1/hosts/:name/evacuate",
    {
      config: { access: "write-all", cost: "look" },
      schema: {
        tags: ["hosts"],
        operationId: "evacuateHost",
        summary: "Move all VMs of a host to others, in one revision",
        description:
          "Migrations of these VMs in progress are cancelled. With `dryRun` the answer is the plan. A host that is not " +
          "marked down can get new VMs during the evacuation.",
        params: Type.Object({ name: Name }),
        querystring: Type.Object(dryRunQuery, { additionalProperties: false }),
        headers: confirmedHeaders,
        body: EvacuateInput,
        response: {
          200: confirmedAnswer(EvacuationView, EvacuationLine),
          ...problems(
            "not-found",
            "precondition-failed",
            "unknown-reference",
            "host-down",
            "limit-exceeded",
            "mixed-underlay",
            "port-conflict",
            "in-use",
            "idempotency-key-reused",
            ...bodyProblems,
            ...writeProblems,
          ),
        },
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      const { to } = request.body;
      const outcome = await submit(committer, request, { kind: "host.evacuate", name, to });
      const moves = movesIn(outcome.touched);
      const present = committer.revision;
      const revision = moves[0]?.after.revision ?? present;
      const watch = agents.moves.begin(agents.moves.waitedFor(moves, waitsForAll(request)), revision as Revision, true);
      const told = { host: name, moved: moves.map(({ after }) => ({ vm: after.name, to: after.host })) };
      const remembered = agents.moves.rememberedBy(moves);
      return answerConfirmed(request, reply, { outcome, watch, told, remembered, present });
    },
  );
}
