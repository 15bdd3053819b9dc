// Promise P10: to any request, the answer is documented, never an internal error, and a refusal changes nothing.
// Requests are made from the document. `npm run fuzz` sends more of them.
import fc from "fast-check";
import { pino } from "pino";
import { describe, expect, test } from "vitest";
import { type ApiDocument, type GeneratedRequest, requests } from "../support/request-arbitrary.ts";
import { type Controller, call, populate, startController } from "./harness.ts";

const perSequence = 200;
const sequences = Math.ceil(Number(process.env.NEARMISS_FUZZ_REQUESTS ?? 10_000) / perSequence);

/** What the controller chooses for a network with `knowledge: auto` is a change of its own, a moment later. */
async function untilChosen({ app }: Controller): Promise<void> {
  for (;;) {
    const { networks } = (await app.inject({ method: "GET", url: "/v1/networks?limit=1000" })).json();
    const open = networks.some(
      ({ knowledge, knowledgeChosen }: Record<string, { addresses?: number } | string | undefined>) =>
        knowledge === "auto" && (typeof knowledgeChosen !== "object" || knowledgeChosen.addresses === undefined),
    );
    if (!open) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Everything that a request could have changed. */
async function stateOf(controller: Controller): Promise<string> {
  const { app } = controller;
  await untilChosen(controller);
  const [inventory, tokens] = await Promise.all([
    app.inject({ method: "GET", url: "/v1/export" }),
    app.inject({ method: "GET", url: "/v1/tokens" }),
  ]);
  return `${inventory.body}${tokens.body}`;
}

function send({ app }: Controller, { method, url, headers, payload }: GeneratedRequest) {
  return app.inject({ method: method as "GET", url, headers, ...(payload === undefined ? {} : { payload }) });
}

async function describedBy(controller: Controller): Promise<ApiDocument> {
  return call(controller, 200, "GET", "/openapi.json");
}

describe("generated requests", () => {
  test(
    "are answered as documented, and change nothing if refused",
    async () => {
      const document = await describedBy(await startController());
      const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));
      const responses = new Map(operations.map((each) => [each.operationId, each.responses]));
      const counts: Record<string, number> = {};
      await fc.assert(
        fc.asyncProperty(
          fc.array(requests(document), { minLength: perSequence, maxLength: perSequence }),
          async (sequence) => {
            const failures: string[] = [];
            const log = pino({ level: "error" }, { write: (line) => failures.push(line) });
            const controller = await startController({ log });
            await populate(controller);
            let state = await stateOf(controller);
            for (const request of sequence) {
              const answer = await send(controller, request);
              const { statusCode: status } = answer;
              counts[status] = (counts[status] ?? 0) + 1;
              expect(status, failures.join("\n")).toBeLessThan(500);
              const response = responses.get(request.operationId)?.[status];
              expect(response, `${request.method} ${request.url}: undocumented ${status}`).toBeDefined();
              // Reads are assumed to change nothing; a change would show at the next refusal.
              const after = request.method === "GET" ? state : await stateOf(controller);
              if (status < 400) state = after;
              else {
                expect(after, `${request.method} ${request.url} was refused`).toBe(state);
                expect(answer.headers["content-type"]).toMatch(/^application\/problem\+json/);
                const { type, detail } = answer.json();
                expect(response?.description).toContain(type);
                expect(detail, answer.body).not.toBe("");
              }
            }
            expect(controller.fatal).toEqual([]);
            await controller.stop();
          },
        ),
        // The failing request is printed with the failure; shrinking hundreds of requests takes longer than reading it.
        { numRuns: sequences, endOnFailure: true },
      );
      // Some succeed, and every kind of refusal that depends on state occurs.
      for (const status of [200, 201, 204, 304, 400, 404, 409, 412, 415, 422]) {
        expect(counts[status], `${status} in ${JSON.stringify(counts)}`).toBeGreaterThan(0);
      }
    },
    240_000 + sequences * 2_000,
  );
});
