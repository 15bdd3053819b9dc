// Requests to the controller that served this page, the only server that the page uses.
import { defined } from "../common/defined.ts";
import type { ProblemDetails } from "../schema/plain/index.ts";

/** The controller refused, and says why. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";
  constructor(readonly problem: ProblemDetails) {
    super(problem.detail);
  }

  /** Such as `name-taken`. */
  get type(): string {
    return this.problem.type.replace("urn:nearmiss:problem:", "");
  }
}

/** The controller was not reached. */
export class UnreachableError extends Error {
  override readonly name = "UnreachableError";
  constructor(options?: ErrorOptions) {
    super("the controller does not answer", options);
  }
}

interface Listener {
  readonly onRefusedToken: (reason: string) => void;
  readonly onUnreachable: () => void;
}

let bearer: string | undefined;
let listener: Listener = { onRefusedToken: () => {}, onUnreachable: () => {} };

export function setBearer(token: string | undefined): void {
  bearer = token;
}

export function listenToApi(to: Listener): void {
  listener = to;
}

const timeoutMs = 20_000;

export interface Reply<Body> {
  readonly body: Body;
  readonly etag: string | undefined;
}

interface RequestOptions {
  readonly body?: unknown;
  readonly accept?: string;
  /** Only if the resource still has this ETag. */
  readonly ifMatch?: string | undefined;
  readonly signal?: AbortSignal;
}

/** `Body` is the documented answer of the route. @throws ProblemError, UnreachableError */
export async function request<Body>(method: string, path: string, options: RequestOptions = {}): Promise<Reply<Body>> {
  const { response, text } = await send(method, path, options, (answer) => answer.text());
  const etag = response.headers.get("etag") ?? undefined;
  return { body: (text === "" ? undefined : JSON.parse(text)) as Body, etag };
}

/** An answer of NDJSON lines, each returned as soon as it arrives. @throws ProblemError, UnreachableError */
export async function requestLines<Line>(
  path: string,
  body: unknown,
  ifMatch: string,
  onLine: (line: Line) => void,
): Promise<void> {
  const take = async (answer: Response): Promise<string> => {
    if (!answer.ok || !answer.body) return answer.text();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return "";
      const lines = `${rest}${value}`.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line !== "") onLine(JSON.parse(line) as Line);
    }
  };
  await send("POST", path, { body, ifMatch, accept: "application/x-ndjson" }, take);
}

async function send(
  method: string,
  path: string,
  options: RequestOptions,
  read: (response: Response) => Promise<string>,
): Promise<{ readonly response: Response; readonly text: string }> {
  const { body, ifMatch, signal, accept } = options;
  const type = method === "PATCH" ? "application/merge-patch+json" : "application/json";
  const headers = {
    ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
    ...(body === undefined ? {} : { "content-type": type }),
    ...defined({ "if-match": ifMatch, accept }),
  };
  const limit = AbortSignal.timeout(timeoutMs);
  let response: Response;
  let text: string;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      // The browser would ask with the ETag of what it has, and be answered 304 while only conditions or an agent's state are others.
      cache: "no-store",
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
    text = await read(response);
  } catch (error) {
    if (signal?.aborted) throw error;
    listener.onUnreachable();
    throw new UnreachableError({ cause: error });
  }
  if (!response.ok) {
    const problem = problemOf(response.status, text);
    if (response.status === 401) listener.onRefusedToken(problem.detail);
    throw new ProblemError(problem);
  }
  return { response, text };
}

export async function get<Body>(path: string, signal?: AbortSignal): Promise<Body> {
  return (await request<Body>("GET", path, signal ? { signal } : {})).body;
}

/** A path with a query; undefined and empty values are omitted. */
export function withQuery(path: string, query: Readonly<Record<string, string | number | undefined>>): string {
  const written = Object.entries(query).flatMap(([key, value]) =>
    value === undefined || value === "" ? [] : [[key, String(value)]],
  );
  return written.length > 0 ? `${path}?${new URLSearchParams(written)}` : path;
}

function problemOf(status: number, text: string): ProblemDetails {
  try {
    const problem = JSON.parse(text) as ProblemDetails;
    if (typeof problem.detail === "string") return problem;
  } catch {
    // something between here and the controller answered
  }
  return {
    type: "about:blank",
    title: "Unexpected answer",
    status,
    detail: `an unexpected answer with status ${status}`,
  };
}
