// One JSON request to the controller over TLS.
import { request } from "node:https";
import type { ProblemDetails } from "../../schema/plain/index.ts";

export interface Ask {
  readonly controller: URL;
  readonly path: string;
  /** Absent: GET. */
  readonly body?: object;
  /** What the controller's certificate is checked with, PEM; absent or empty: a public CA. */
  readonly ca?: string;
  /** The certificate is not checked: for public data that is verified by other means. */
  readonly unchecked?: boolean;
  readonly certificate?: string;
  readonly key?: string;
  /** Default 10,000. */
  readonly timeoutMs?: number;
}

/** The controller has refused the request. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

const defaultTimeoutMs = 10_000;
const maxAnswerBytes = 1024 * 1024;

export interface Answer<Body> {
  readonly body: Body;
  /** This end of the connection. */
  readonly localAddress: string;
}

/** `Body` is what the caller expects, which it checks. @throws RefusedError, Error where there is no answer */
export function ask<Body>({ controller, path, body, ca, ...options }: Ask): Promise<Answer<Body>> {
  const { unchecked, certificate, key, timeoutMs = defaultTimeoutMs } = options;
  const text = body && JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const call = request(
      new URL(path, controller),
      {
        method: text === undefined ? "GET" : "POST",
        agent: false,
        minVersion: "TLSv1.2",
        rejectUnauthorized: unchecked !== true,
        ...(ca ? { ca } : {}),
        ...(certificate && key ? { cert: certificate, key } : {}),
        headers:
          text === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(text) },
        signal: AbortSignal.timeout(timeoutMs),
      },
      (response) => {
        const { localAddress = "" } = response.socket;
        let received = "";
        response.setEncoding("utf8").on("data", (part: string) => {
          received += part;
          if (received.length > maxAnswerBytes)
            call.destroy(new Error("the answer is longer than a controller's answers can be"));
        });
        response.on("error", reject);
        response.on("end", () => {
          const { statusCode = 0 } = response;
          const value = parse(received);
          if (statusCode >= 300) reject(new RefusedError(statusCode, reasonOf(value, statusCode)));
          else resolve({ body: value as Body, localAddress });
        });
      },
    );
    call.on("error", reject);
    call.end(text);
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function reasonOf(value: unknown, status: number): string {
  const detail = (value as Partial<ProblemDetails> | undefined)?.detail;
  return typeof detail === "string"
    ? detail
    : `status ${status}: the server that answered is not a nearmiss controller`;
}
