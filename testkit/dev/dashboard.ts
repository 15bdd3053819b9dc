// The dashboard from vite's development server: a page reloads when its source changes, styles without a reload.
// Requests of the page to the controller are forwarded.
import { createServer } from "node:http";
import { Agent } from "node:https";
import { join } from "node:path";
import { createServer as createViteServer, type ProxyOptions } from "vite";
import { listen, portOf } from "./listen.ts";

export interface DashboardOptions {
  readonly root: string;
  /** 0: a free one. */
  readonly port: number;
  /** Of the controller, on loopback. */
  readonly target: string;
  /** PEM, where the controller serves HTTPS. */
  readonly ca?: string;
}

/** All that the controller serves but the page itself. */
const served = "^/(?:v1|livez|readyz|metrics|openapi\\.json|asyncapi\\.json|docs)(?:[/?]|$)";

export interface DashboardServer {
  readonly url: string;
  close(): Promise<void>;
}

/**
 * The HTTP server is ours: vite's own would end the process at SIGTERM, before the lab is removed.
 * @throws Error where the port is taken
 */
export async function serveDashboard({ root, port, target, ca }: DashboardOptions): Promise<DashboardServer> {
  // The page's own Host and Origin go along: the controller takes them where they agree and name an address.
  const through: ProxyOptions = { target, ws: true, changeOrigin: false, ...(ca ? { agent: new Agent({ ca }) } : {}) };
  const server = createServer();
  await listen(server, port, "--port");
  const vite = await createViteServer({
    root: join(root, "dashboard"),
    configFile: join(root, "dashboard", "vite.config.ts"),
    cacheDir: join(root, ".dev", "vite"),
    appType: "spa",
    logLevel: "warn",
    clearScreen: false,
    server: {
      middlewareMode: { server },
      hmr: { server },
      proxy: { [served]: through },
      // Pages import from schema/. The rest is vite's default.
      fs: { strict: true, allow: [root], deny: [".env", ".env.*", "*.{crt,pem}", "**/.git/**"] },
    },
  });
  server.on("request", vite.middlewares);
  return {
    url: `http://127.0.0.1:${portOf(server)}/`,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      await vite.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
