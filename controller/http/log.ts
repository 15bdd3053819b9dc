// The log of changes read backwards, in pages. Forwards it is `/v1/events`.
import { FairTurns } from "../../common/cooperative.ts";
import { defined } from "../../common/defined.ts";
import { parseRevision } from "../../schema/address/index.ts";
import { LogView, toCloudEvent } from "../../schema/events/index.ts";
import { Name } from "../../schema/rest/index.ts";
import { type Static, Type } from "../../schema/typebox.ts";
import { scopeOf } from "../auth/identity.ts";
import { endOfLog, lookBack, type Subject } from "../observe/look-back.ts";
import type { LogPosition, Store } from "../store/store.ts";
import type { App } from "./app-types.ts";
import { identityOf } from "./caller.ts";
import { described, problems } from "./responses.ts";

const query = Type.Object(
  {
    before: Type.Optional(
      Type.String({
        pattern: "^\\d{1,15}(\\.\\d{1,9})?$",
        description: "A revision, or `next` of the previous page: only older changes. Absent: start at the newest",
      }),
    ),
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 500, default: 50, description: "Maximum number of items" }),
    ),
    kind: Type.Optional(Type.Enum(["network", "host", "vm"], { description: "Only resources of this kind" })),
    name: Type.Optional({ ...Name, description: "Only the resource of this name" }),
    network: Type.Optional({ ...Name, description: "Only this network, and VMs that are or were in it" }),
    host: Type.Optional({ ...Name, description: "Only this host, and VMs that are on it, arrive or leave" }),
  },
  { additionalProperties: false },
);

export function logRoutes(app: App, { store }: { readonly store: Pick<Store, "readEventsBack" | "epoch"> }): void {
  /** Of all that read the log backwards. */
  const turns = new FairTurns();
  app.get(
    "/v1/log",
    {
      config: { access: "watch", cost: "look" },
      schema: {
        tags: ["events"],
        operationId: "getLog",
        summary: "What changed, newest first, in pages",
        description: "For people. Programs that must not miss a change follow `/v1/events`.",
        querystring: query,
        response: { 200: described("One page", LogView), ...problems() },
      },
    },
    async (request) => {
      const { before, limit = 50 } = request.query;
      const scope = scopeOf(identityOf(request));
      const position = before === undefined ? endOfLog : parsePosition(before);
      const found = await lookBack(
        { store, turns },
        { before: position, limit, subject: subjectOf(request.query), scope },
      );
      const events = found.events.map((event) => ({ ...toCloudEvent(event, store.epoch), data: plain(event.change) }));
      return { events, ...(found.next ? { next: `${found.next.revision}.${found.next.index}` } : {}) };
    },
  );
}

function parsePosition(text: string): LogPosition {
  const [revision = "", index = "0"] = text.split(".");
  return { revision: parseRevision(Number(revision)), index: Number(index) };
}

function subjectOf({ kind, name, network, host }: Static<typeof query>): Subject {
  return {
    ...defined({ kind, name, network, host }),
  };
}

/** In the form of the log, for every kind of resource. */
function plain({ before, after }: { readonly before: object | null; readonly after: object | null }) {
  return { before: before && { ...before }, after: after && { ...after } };
}
