// Requests over HTTP or HTTPS with a CA of the operator's choosing, which `fetch` does not take.
import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { defined } from "../common/defined.ts";

export interface HttpCall {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Readable;
  /** PEM; absent: a public CA. */
  readonly ca?: string;
  /** Longest silence. */
  readonly timeoutMs: number;
}

class SilentError extends Error {
  readonly code = "SILENT";
  constructor(timeoutMs: number) {
    super(`no data was received for ${timeoutMs / 1_000} s`);
  }
}

/** Every status is an answer; the caller reads its body. @throws Error if there is no answer */
export function openHttp(url: URL, { method, headers, body, ca, timeoutMs }: HttpCall): Promise<IncomingMessage> {
  // Not imported: the names of an import are read at once, and those of node:http load an HTTP client of their own, which
  // takes longer than the request.
  const { request } = process.getBuiltinModule(url.protocol === "https:" ? "node:https" : "node:http");
  const length = typeof body === "string" ? { "content-length": Buffer.byteLength(body) } : {};
  return new Promise((resolve, reject) => {
    const options = { method, headers: { ...headers, ...length }, agent: false, ...defined({ ca }) };
    const call = request(url, options, resolve);
    call.setTimeout(timeoutMs, () => call.destroy(new SilentError(timeoutMs)));
    call.on("error", reject);
    if (typeof body !== "object") return void call.end(body);
    body.on("error", (error) => call.destroy(error));
    // A refusal may arrive before the body is sent: then the answer counts.
    body.pipe(call);
  });
}

/** The whole body. @throws Error where it breaks off */
export async function readText(response: IncomingMessage): Promise<string> {
  let text = "";
  for await (const part of response.setEncoding("utf8")) text += part;
  return text;
}

/** The lines of a body as they arrive, without their ends; empty ones are left out. @throws Error where it breaks off */
export async function* readLines(response: IncomingMessage): AsyncGenerator<string> {
  let rest = "";
  for await (const part of response.setEncoding("utf8")) {
    const lines = (rest + part).split("\n");
    rest = lines.pop() ?? "";
    yield* lines.filter((line) => line !== "");
  }
  if (rest !== "") yield rest;
}
