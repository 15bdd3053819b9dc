import { AuditView, findTimeMs } from "../../schema/rest/index.ts";
import { Type } from "../../schema/typebox.ts";
import { Refusal } from "../inventory/refusal.ts";
import type { AccessStore } from "../store/access-store.ts";
import type { App } from "./app-types.ts";
import { described, problems } from "./responses.ts";

const defaultLimit = 200;

const query = Type.Object(
  {
    since: Type.Optional(Type.String({ maxLength: 40, description: "Only entries from this time on, RFC 3339" })),
    after: Type.Optional(
      Type.Integer({ minimum: 0, description: "Only entries after this one: `next` of the previous page" }),
    ),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, default: defaultLimit })),
  },
  { additionalProperties: false },
);

const Page = Type.Object({
  entries: Type.Array(AuditView),
  next: Type.Union([Type.Integer(), Type.Null()], { description: "For `after`; null: no further entries" }),
});

export function auditRoutes(app: App, { access }: { access: Pick<AccessStore, "readAudit"> }): void {
  app.get(
    "/v1/audit",
    {
      config: { access: "admin", cost: "look" },
      schema: {
        tags: ["access"],
        operationId: "listAudit",
        summary: "Who changed what, when and from where",
        querystring: query,
        response: { 200: described("In order", Page), ...problems("unavailable") },
      },
    },
    async ({ query: { since, after = 0, limit = defaultLimit } }) => {
      const entries = await access.readAudit({ after, since: readTime(since), limit });
      return { entries, next: entries.length < limit ? null : (entries.at(-1)?.id ?? null) };
    },
  );
}

/** As stored: all times there have one form, so that texts compare like times. */
function readTime(text: string | undefined): string {
  if (text === undefined) return "";
  const ms = findTimeMs(text);
  if (ms === undefined) throw new Refusal("invalid-input", 'since: write a time such as "2027-01-31T12:00:00Z"');
  return new Date(ms).toISOString();
}
