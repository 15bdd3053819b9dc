import type { RouteOptions } from "fastify";

/**
 * The methods of a path: Fastify answers a wrong method like an unknown path, and HTTP requires `Allow` (RFC 9110
 * §15.5.6).
 */
export class MethodsByPath {
  private readonly routes = new Map<string, { pattern: RegExp; methods: Set<string> }>();

  /** For Fastify's onRoute hook. */
  add({ url, method }: Pick<RouteOptions, "url" | "method">): void {
    const route = this.routes.get(url) ?? { pattern: patternOf(url), methods: new Set() };
    for (const each of [method].flat()) route.methods.add(each);
    this.routes.set(url, route);
  }

  find(path: string): string[] | undefined {
    for (const { pattern, methods } of this.routes.values()) if (pattern.test(path)) return [...methods].sort();
    return undefined;
  }
}

function patternOf(url: string): RegExp {
  const segments = url.split("/").map((each) => (each.startsWith(":") ? "[^/]+" : each.replaceAll(".", "\\.")));
  return new RegExp(`^${segments.join("/")}$`);
}
