// Headers for browsers on every answer. Helmet's are the same for all answers, so they are taken from it once: made anew, they cost
// a POST more than the reading of its body. Pages with a policy of their own replace some.

import type { OutgoingHttpHeaders } from "node:http";
import helmet from "@fastify/helmet";
import type { App } from "./app-types.ts";

export async function registerSecurityHeaders(app: App): Promise<void> {
  await app.register(helmet, { global: false });
  let headers: OutgoingHttpHeaders | undefined;
  app.addHook("onRequest", (_request, reply, done) => {
    if (!headers) {
      void reply.helmet();
      headers = reply.raw.getHeaders();
      for (const name of Object.keys(headers)) reply.raw.removeHeader(name);
    }
    reply.headers(headers);
    done();
  });
}
