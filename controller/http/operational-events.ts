import { OperationalShape } from "../../schema/events/index.ts";
import { Type } from "../../schema/typebox.ts";
import { mayKnow } from "../auth/view.ts";
import type { OperationalEvents } from "../events/operational-events.ts";
import type { Committer } from "../write/committer.ts";
import type { App } from "./app-types.ts";
import { callerView } from "./caller.ts";
import { described, problems } from "./responses.ts";

const query = Type.Object(
  {
    after: Type.Optional(
      Type.Integer({
        minimum: 0,
        description: "Only events after this sequence number, of the run that the answer names",
      }),
    ),
  },
  { additionalProperties: false },
);

export function operationalEventRoutes(
  app: App,
  { operational, committer }: { readonly operational: OperationalEvents; readonly committer: Committer },
): void {
  app.get(
    "/v1/operational-events",
    {
      config: { access: "watch", cost: "look" },
      schema: {
        tags: ["events"],
        operationId: "listOperationalEvents",
        summary: "Recent operational events of hosts",
        description:
          "The last 1,024 events of this run of the controller, oldest first, shared between hosts: hosts connected or lost, scans, repairs, overruns, " +
          "thefts and the like. They also travel on `/v1/events`, live, marked with `operational: true`. A token that is " +
          "limited to networks sees those of its networks only, and none that concerns a host as a whole.",
        querystring: query,
        response: {
          200: described(
            "Kept events",
            Type.Object({
              run: Type.String({ description: "Each run starts again with sequence 1" }),
              events: Type.Array(OperationalShape),
            }),
          ),
          ...problems(),
        },
      },
    },
    (request) => {
      const view = callerView(request, committer.current);
      const events = operational.list(request.query.after).filter((event) => mayKnow(view, event));
      return { run: operational.run, events: events.map((event) => operational.toCloudEvent(event)) };
    },
  );
}
