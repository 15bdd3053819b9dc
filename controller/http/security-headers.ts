// Headers for browsers on every answer. Helmet's are the same for all answers, so they are taken from it once: made anew, they cost
// a POST more than the reading of its body. Pages with a policy of their own replace some.
import { IncomingMessage, type OutgoingHttpHeaders, ServerResponse } from "node:http";
import { Socket } from "node:net";
import helmet from "helmet";
import type { App } from "./app-types.ts";

export function registerSecurityHeaders(app: App): void {
  const headers = headersOfHelmet();
  app.addHook("onRequest", (_request, reply, done) => {
    reply.headers(headers);
    done();
  });
}

function headersOfHelmet(): OutgoingHttpHeaders {
  const request = new IncomingMessage(new Socket());
  const response = new ServerResponse(request);
  helmet()(request, response, (error) => {
    if (error) throw error;
  });
  return { ...response.getHeaders() };
}
