// Which identity may use which route. `view.ts` limits what it sees there, `inventory/scope.ts` what it may change.
import { type Identity, scopeOf } from "./identity.ts";

/**
 * Access that a route requires, declared in its `config: { access }`:
 * - `public`: nothing;
 * - `read`: any identity, with its own view (`callerView`);
 * - `watch`: the same without hosts, which have their channel;
 * - `write`: operators and admins, within their networks;
 * - `read-all`, `write-all`: the same for resources outside of networks, so not for tokens that are limited to some;
 * - `admin`: tokens, audit;
 * - `agent`: hosts only.
 */
export type Access = "public" | "read" | "watch" | "write" | "read-all" | "write-all" | "admin" | "agent";

const viewers: readonly Identity["kind"][] = ["admin", "operator", "viewer"];
const operators: readonly Identity["kind"][] = ["admin", "operator"];

const kindsFor: Readonly<Record<Exclude<Access, "public">, readonly Identity["kind"][]>> = {
  read: [...viewers, "host"],
  watch: viewers,
  write: operators,
  "read-all": viewers,
  "write-all": operators,
  admin: ["admin"],
  agent: ["host"],
};

/**
 * The reason why the identity may not, or undefined if it may. The reason depends on the route alone, never on whether
 * the requested resource exists.
 */
export function findObstacle(identity: Identity, access: Access): string | undefined {
  if (access === "public" || identity.kind === "anyone") return undefined;
  const kinds = kindsFor[access];
  if (!kinds.includes(identity.kind)) {
    const wanted = kinds.includes("viewer") ? "a token" : kinds.map((kind) => articles[kind]).join(" or ");
    return `${articles[identity.kind]} may not do this: it requires ${wanted}`;
  }
  if (access.endsWith("-all") && scopeOf(identity) !== "all") {
    return "a token that is limited to networks may not do this: it requires one for all networks";
  }
  return undefined;
}

const articles: Readonly<Record<Identity["kind"], string>> = {
  admin: "an admin token",
  operator: "an operator token",
  viewer: "a viewer token",
  host: "a host's certificate",
  anyone: "anyone",
};
