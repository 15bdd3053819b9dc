// The controller as commands see it: answers, lists over all their pages, streams of lines. No knowledge of resources.
import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { defined } from "../common/defined.ts";
import { CliError, errorOf } from "./errors.ts";
import { openHttp, readLines, readText } from "./http.ts";
import type { Settings } from "./settings.ts";

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Call {
  readonly query?: Query;
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent with an idempotency key, and once more with the same where the answer was lost. */
  readonly once?: boolean;
  /** Longest silence. */
  readonly timeoutMs?: number;
}

export interface LinesCall extends Omit<Call, "body" | "once"> {
  readonly body?: string | Readable;
}

const defaultTimeoutMs = 30_000;
const pageLimit = 1_000;
export class Client {
  constructor(readonly settings: Settings) {}

  /** @returns the parsed answer, undefined where it is empty @throws CliError saying what to do */
  async call<Body>(method: string, path: string, { body, once, headers = {}, ...more }: Call = {}): Promise<Body> {
    const asked = {
      ...more,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      headers: {
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
        ...(once ? { "idempotency-key": `"${randomUUID()}"` } : {}),
      },
    };
    const text = await this.read(method, path, asked, once === true || method === "GET");
    try {
      return (text === "" ? undefined : JSON.parse(text)) as Body;
    } catch {
      throw this.refused(200, text);
    }
  }

  /** Every item of a list, page after page. @throws CliError */
  async *list<Item>(plural: string, query: Query = {}): AsyncGenerator<Item> {
    let cursor: string | undefined;
    do {
      const asked: Query = { limit: pageLimit, ...query, cursor };
      const page: Record<string, unknown> = await this.call("GET", `/v1/${plural}`, { query: asked });
      yield* page[plural] as Item[];
      cursor = page.next as string | undefined;
    } while (cursor !== undefined);
  }

  /** An answer in NDJSON, as it arrives. @throws CliError */
  async *lines<Line>(method: string, path: string, call: LinesCall = {}): AsyncGenerator<Line> {
    for await (const text of this.textLines(method, path, call)) yield JSON.parse(text) as Line;
  }

  /** The same, as the controller wrote it. @throws CliError */
  async *textLines(method: string, path: string, call: LinesCall = {}): AsyncGenerator<string> {
    try {
      yield* readLines(await this.open(method, path, call));
    } catch (error) {
      throw await this.unreachable(error);
    }
  }

  urlOf(path: string, query: Query = {}): URL {
    const url = new URL(path, this.settings.controller);
    for (const [key, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(key, String(value));
    return url;
  }

  /** The credentials. */
  get credentials(): Readonly<Record<string, string>> {
    const { token } = this.settings;
    return token === undefined ? {} : { authorization: `Bearer ${token}` };
  }

  async unreachable(error: unknown): Promise<CliError> {
    if (error instanceof CliError) return error;
    const { explainFailure } = await import("./unreachable.ts");
    return explainFailure(error, this.settings);
  }

  /** A refusal, or the answer of another server. */
  refused(status: number, text: string, headers: IncomingMessage["headers"] = {}): CliError {
    return errorOf({ status, text, headers, ...this.settings });
  }

  private async read(method: string, path: string, call: LinesCall, again: boolean): Promise<string> {
    try {
      return await readText(await this.open(method, path, call));
    } catch (error) {
      if (again && isLost(error)) return this.read(method, path, call, false);
      throw await this.unreachable(error);
    }
  }

  /** @throws CliError if the controller refuses, Error if no server answers */
  private async open(method: string, path: string, call: LinesCall): Promise<IncomingMessage> {
    const { query, headers = {}, body, timeoutMs = defaultTimeoutMs } = call;
    const { ca } = this.settings;
    const response = await openHttp(this.urlOf(path, query), {
      method,
      headers: { ...this.credentials, ...headers },
      timeoutMs,
      ...defined({ body, ca }),
    });
    const status = response.statusCode ?? 0;
    if (status >= 200 && status <= 299 && !isPage(response)) return response;
    throw this.refused(status, await readText(response), response.headers);
  }
}

/** The request may have arrived, and its answer is lost. */
function isLost(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ECONNRESET" || error.code === "EPIPE");
}

/** HTML is no answer of the API: a proxy, or another server. */
function isPage({ headers }: IncomingMessage): boolean {
  return headers["content-type"]?.startsWith("text/html") === true;
}
