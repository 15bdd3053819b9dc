// One request, over HTTP or HTTPS with a CA of the operator's choosing, which `fetch` does not take.
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";

export interface HttpCall {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** PEM; absent: a public CA. */
  readonly ca?: string;
  readonly timeoutMs: number;
}

/** Every status is an answer. @throws Error where there is none */
export function callHttp(url: URL, { method, headers, body, ca, timeoutMs }: HttpCall) {
  const request = url.protocol === "https:" ? requestHttps : requestHttp;
  const signal = AbortSignal.timeout(timeoutMs);
  const length = body === undefined ? {} : { "content-length": Buffer.byteLength(body) };
  return new Promise<{ readonly status: number; readonly text: string }>((resolve, reject) => {
    const options = { method, headers: { ...headers, ...length }, agent: false, signal, ...(ca ? { ca } : {}) };
    const call = request(url, options, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      response.on("error", reject);
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    call.on("error", reject);
    call.end(body);
  });
}
