// The whole inventory at once: exported as NDJSON, and imported as one revision.
import { Socket } from "node:net";
import { Readable } from "node:stream";
import { Type } from "../../schema/typebox.ts";
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
import { dryRunQuery } from "./conditions.ts";
import { bodyProblems, problems, writeProblems } from "./responses.ts";
import { compileValidator } from "./validation.ts";

const ndjson = "application/x-ndjson";

/** How long a reader may take for an export, ms: until then all that changes under it is kept. */
const maxExportMs = 600_000;

const tags = ["bulk"];

const importQuery = Type.Object(dryRunQuery, { additionalProperties: false });

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
    },
    { title: "ImportSummary" },
  ),
]);

const stream = (description: string, schema: object) => ({ description, content: { [ndjson]: { schema } } });

export interface BulkDeps {
  readonly committer: Committer;
  readonly uploads: Uploads;
  readonly epoch: string;
}

export function bulkRoutes(app: App, { committer, uploads, epoch }: BulkDeps): void {
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
    importRoute(scope, committer, uploads);
  });
}

function importRoute(app: App, committer: Committer, uploads: Uploads): void {
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
          "by a token that is limited to networks, which must arrive within 30 s. One import is carried out at a time, and " +
          "others wait for their turn, two of each caller.",
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
      const { socket } = request.raw;
      // A large one takes minutes, in which nothing is said. (A request that was injected has no connection.)
      const mayBeSilent = (ms: number) => socket instanceof Socket && socket.setTimeout(ms);
      mayBeSilent(0);
      try {
        const { dryRun = false } = request.query;
        await upload.receive(body);
        endTurn = await turns.take(by.name);
        if (socket.destroyed)
          throw new Refusal("unavailable", "nothing was changed: the client disconnected while it waited");
        const deps = { committer, newRecords: () => new Spool(uploads.limits) };
        const imported = await importLines(() => upload.chunks(), deps, by, { dryRun });
        const answer = Readable.from(resultLines(imported, dryRun), { objectMode: false });
        // Also where the client goes before its end.
        answer.once("close", () => imported.results.close());
        return reply.type(ndjson).send(answer);
      } finally {
        endTurn();
        await upload.close();
        mayBeSilent(app.server.timeout);
      }
    },
  );
}

function* resultLines({ results, counts, revision }: Imported, dryRun: boolean): Generator<Buffer> {
  yield* results.chunks();
  yield Buffer.from(`${JSON.stringify({ kind: "summary", revision, ...counts, dryRun })}\n`);
}
