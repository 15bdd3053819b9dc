// Helmet's headers for browsers: what a page may load, who may frame it, and the like. They are the same in every answer, so they are
// made once: Helmet makes them anew for each request, which took the controller longer than answering most of them.
import helmet from "@fastify/helmet";
import Fastify from "fastify";
import type { App } from "./app-types.ts";

/** Sets them in every answer of `app`, also in those that are written past Fastify. */
export async function addSecurityHeaders(app: App): Promise<void> {
  const headers = Object.entries(await makeHeaders());
  app.addHook("onRequest", (_request, reply, done) => {
    for (const [name, value] of headers) reply.raw.setHeader(name, value);
    done();
  });
}

/** As Helmet sets them in an answer of an app of its own. */
async function makeHeaders(): Promise<Record<string, string>> {
  const headers: Record<string, string> = {};
  const app = Fastify();
  await app.register(helmet);
  app.addHook("onRequest", (_request, reply, done) => {
    for (const [name, value] of Object.entries(reply.raw.getHeaders())) headers[name] = String(value);
    done();
  });
  app.get("/", async () => "");
  await app.inject("/");
  await app.close();
  return headers;
}
