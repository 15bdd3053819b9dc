// The dashboard: built files, served unchanged. They fetch their data over the REST API like any client.
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import fastifyStatic from "@fastify/static";
import { Refusal } from "../inventory/refusal.ts";
import type { App } from "./app-types.ts";

/** In dist/, relative to controller/http/ as well as to dist/controller/http/. */
export function dashboardDirectory(): string {
  const here = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
  return existsSync(join(here, "package.json")) ? join(here, "dist", "dashboard") : join(here, "dashboard");
}

/**
 * Nothing inline, nothing from elsewhere, and in no frame. `connect-src 'self'` covers WebSockets of the same origin
 * (CSP 3 §6.7.2.8).
 */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** Names of assets contain a hash of their content. */
const forever = { maxAge: "365d", immutable: true } as const;

export async function dashboardRoutes(app: App, root = dashboardDirectory()): Promise<void> {
  await app.register(fastifyStatic, {
    root,
    serve: false,
    preCompressed: true,
    // The directory is part of the build; without it the API is still served.
    ...(existsSync(root) ? {} : { root: dirname(fileURLToPath(import.meta.url)) }),
  });
  const isBuilt = existsSync(join(root, "index.html"));
  const assets = new Set(isBuilt ? readdirSync(join(root, "assets")).filter((name) => !/\.(?:br|gz)$/.test(name)) : []);
  const hidden = { config: { access: "public" as const }, schema: { hide: true } };

  app.get("/", hidden, (request, reply) => {
    if (!isBuilt) throw new Refusal("not-found", "the dashboard is not built: run `npm run build` and start again");
    reply.header("content-security-policy", contentSecurityPolicy).header("referrer-policy", "no-referrer");
    // Browsers complain of these where the origin cannot be trusted, and leave them.
    if (request.protocol === "http")
      reply.removeHeader("cross-origin-opener-policy").removeHeader("origin-agent-cluster");
    return reply.sendFile("index.html", root, { cacheControl: false });
  });
  app.get("/assets/:file", hidden, (request, reply) => {
    const { file } = request.params as { file: string };
    if (!assets.has(file)) throw new Refusal("not-found", "no such file");
    return reply.sendFile(join("assets", file), root, forever);
  });
}
