// The whole inventory at once: exported as NDJSON, and imported as one revision.
import { Socket } from "node:net";
import { Readable } from "node:stream";
import { defaultWaitMs } from "../../schema/rest/index.ts";
import { Type } from "../../schema/typebox.ts";
import type { AgentChannel } from "../agents/agent-channel.ts";
import { exportLines } from "../bulk/export.ts";
import { type Imported, importLines } from "../bulk/import.ts";
import { ImportTurns } from "../bulk/import-turns.ts";
import { BodyError } from "../bulk/lines.ts";
import { AnyLine } from "../bulk/resource-line.ts";
import type { Uploads } from "../bulk/uploads.ts";
import { Refusal } from "../inventory/refusal.ts";
import { Spool } from "../store/spool.ts";
import type { Committer } from "../write/committer.ts";
import type { App } from "./app-types.ts";
import { actorOf, callerView } from "./caller.ts";
import { collectConcerned } from "./concerned.ts";
import { dryRunQuery } from "./conditions.ts";
import { bodyProblems, problems, writeProblems } from "./responses.ts";
import { compileValidator } from "./validation.ts";

const ndjson = "application/x-ndjson";

/** How long a reader may take for an export, ms: until then all that changes under it is kept. */
const maxExportMs = 600_000;

const tags = ["bulk"];

const importQuery = Type.Object(
  {
    ...dryRunQuery,
    wait: Type.Optional(
      Type.Boolean({ description: "Send the summary when every host that the import concerns has confirmed it" }),
    ),
    timeoutMs: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 60_000, default: defaultWaitMs, description: "How long to wait, ms" }),
    ),
  },
  { additionalProperties: false },
);

const ResultLine = Type.Union([
  Type.Object(
    {
      line: Type.Integer({ description: "From 1" }),
      kind: Type.Union([Type.Literal("network"), Type.Literal("host"), Type.Literal("vm")]),
      name: Type.String(),
      result: Type.Union(["created", "updated", "unchanged", "deleted"].map((each) => Type.Literal(each))),
    },
    { title: "ImportResult" },
  ),
  Type.Object(
    {
      kind: Type.Literal("summary"),
      revision: Type.Integer({ description: "Revision of the import; the current one if nothing changed" }),
      created: Type.Integer(),
      updated: Type.Integer(),
      unchanged: Type.Integer(),
      deleted: Type.Integer(),
      dryRun: Type.Boolean(),
      confirmed: Type.Optional(Type.Integer({ description: "Only with `wait`: hosts that have confirmed" })),
      of: Type.Optional(Type.Integer({ description: "Only with `wait`: hosts that it concerns" })),
      unconfirmed: Type.Optional(
        Type.Array(Type.Object({ host: Type.String(), why: Type.String() }), {
          description: "Only with `wait`; the import stays in effect",
        }),
      ),
    },
    { title: "ImportSummary" },
  ),
]);

const stream = (description: string, schema: object) => ({ description, content: { [ndjson]: { schema } } });

export interface BulkDeps {
  readonly committer: Committer;
  readonly agents: Pick<AgentChannel, "moves">;
  readonly uploads: Uploads;
  readonly epoch: string;
}

export function bulkRoutes(app: App, { committer, agents, uploads, epoch }: BulkDeps): void {
  app.get(
    "/v1/export",
    {
      config: { access: "read", cost: "bulk" },
      schema: {
        tags,
        operationId: "exportAll",
        summary: "Everything, as NDJSON that can be imported",
        description:
          "One line per resource: networks, hosts, VMs, each sorted by name. All lines are of one revision, which the first line states. An " +
          "export that is not read within 10 minutes breaks off.",
        response: { 200: stream("A resource per line", AnyLine), ...problems() },
      },
    },
    (request, reply) => {
      const { revision } = committer;
      const pinned = committer.pin(maxExportMs);
      const lines = exportLines(callerView(request, pinned), { revision, epoch });
      const body = Readable.from(lines, { objectMode: false });
      // Also where the client goes before its end.
      body.once("close", () => pinned.release());
      return reply.type(ndjson).send(body);
    },
  );

  app.register(async (scope: App) => {
    // Nothing but NDJSON, which is read as it arrives.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(ndjson, (_request, payload, done) => done(null, payload));
    importRoute(scope, committer, agents, uploads);
  });
}

function importRoute(app: App, committer: Committer, agents: BulkDeps["agents"], uploads: Uploads): void {
  const turns = new ImportTurns();
  app.post(
    "/v1/import",
    {
      config: { access: "write", cost: "bulk" },
      // The schema of the body is that of one line, against which `parseLine` checks each.
      validatorCompiler: (part) => (part.httpPart === "body" ? (value) => ({ value }) : compileValidator(part)),
      schema: {
        tags,
        operationId: "importAll",
        summary: "Create, replace or delete many resources in one revision",
        description:
          'One line per resource, in any order, each at most once. A line with `"delete":true` deletes. All or nothing: ' +
          "addresses and references are checked when all lines are in, so that VMs can swap addresses. At most 256 MiB, or 8 MiB " +
          "by a token that is limited to networks, which must arrive within 30 s. One import of more than 1 MiB is carried out " +
          "at a time, beside one smaller one; others wait for their turn, two of each caller.",
        consumes: [ndjson],
        querystring: importQuery,
        body: {
          content: {
            [ndjson]: { schema: AnyLine },
          },
        },
        response: {
          200: stream("A result per line, and a summary as the last", ResultLine),
          ...problems("import-refused", ...bodyProblems, ...writeProblems),
        },
      },
    },
    async (request, reply) => {
      const by = actorOf(request);
      const body = request.body as AsyncIterable<Buffer> | undefined;
      if (!body) throw new BodyError("missing", `send a resource per line as ${ndjson}`);
      const upload = uploads.begin({ name: by.name, isNarrowed: by.scope !== "all" });
      let endTurn = () => {};
      let isReceived = false;
      const { socket } = request.raw;
      // A large one takes minutes, in which nothing is said. (A request that was injected has no connection.)
      const mayBeSilent = (ms: number) => socket instanceof Socket && socket.setTimeout(ms);
      mayBeSilent(0);
      try {
        const { dryRun = false, wait = false, timeoutMs = defaultWaitMs } = request.query;
        await upload.receive(body);
        isReceived = true;
        endTurn = await turns.take(by.name, upload.isSmall);
        if (socket.destroyed)
          throw new Refusal("unavailable", "nothing was changed: the client disconnected while it waited");
        const deps = { committer, newRecords: () => new Spool(uploads.limits) };
        const concerns = wait && !dryRun ? collectConcerned(committer, agents.moves) : undefined;
        const read = () => upload.chunks();
        const imported = await importLines(read, deps, by, { dryRun }).finally(() => concerns?.end());
        const watch = concerns && agents.moves.begin(concerns.of(imported.revision), imported.revision, true);
        const confirmations = async () => {
          if (!watch) return {};
          for await (const _ of watch.until(timeoutMs));
          return { ...watch.counts, unconfirmed: watch.unconfirmed(timeoutMs, by.scope === "all") };
        };
        const answer = Readable.from(resultLines(imported, dryRun, confirmations), { objectMode: false });
        // Also where the client goes before its end.
        answer.once("close", () => imported.results.close());
        return reply.type(ndjson).send(answer);
      } finally {
        // What is left of the body would stand before the next request of the connection.
        if (!isReceived) reply.header("connection", "close");
        endTurn();
        await upload.close();
        mayBeSilent(app.server.timeout);
      }
    },
  );
}

async function* resultLines(
  { results, counts, revision }: Imported,
  dryRun: boolean,
  confirmations: () => Promise<object>,
): AsyncGenerator<Buffer> {
  yield* results.chunks();
  yield Buffer.from(
    `${JSON.stringify({ kind: "summary", revision, ...counts, dryRun, ...(await confirmations()) })}\n`,
  );
}
