// `--metrics`: one page over HTTP, for Prometheus. It names no guest, and changes nothing.
import { createServer, type Server, type ServerResponse } from "node:http";
import type { Registry } from "prom-client";

export interface MetricsAddress {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
}

/** A scraper or two, and an operator with curl. */
const maxConnections = 16;

/** @throws where the address cannot be listened on (EADDRINUSE, EADDRNOTAVAIL) */
export async function serveMetrics(registry: Registry, { host, port }: MetricsAddress): Promise<Server> {
  const server = createServer({ requestTimeout: 5_000, headersTimeout: 5_000, keepAliveTimeout: 60_000 });
  server.maxConnections = maxConnections;
  server.on("request", (request, response) => {
    const path = request.url?.split("?")[0];
    if (path !== "/metrics") return answer(response, 404, "metrics are at /metrics\n");
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("allow", "GET, HEAD");
      return answer(response, 405, "GET /metrics\n");
    }
    registry.metrics().then(
      (text) => answer(response, 200, text, registry.contentType),
      (error: unknown) => answer(response, 500, `${error instanceof Error ? error.message : String(error)}\n`),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, resolve);
  });
  return server;
}

function answer(response: ServerResponse, status: number, text: string, type = "text/plain; charset=utf-8"): void {
  response.writeHead(status, { "content-type": type, "x-content-type-options": "nosniff" });
  response.end(text);
}
