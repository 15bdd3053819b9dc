import { type BindingKey, parseIp, parseMac, parseVni } from "../../schema/address/index.ts";
import { ResolveView } from "../../schema/rest/index.ts";
import { Type } from "../../schema/typebox.ts";
import { getOwner } from "../inventory/bindings.ts";
import { Refusal } from "../inventory/refusal.ts";
import type { Committer } from "../write/committer.ts";
import type { App } from "./app-types.ts";
import { callerView } from "./caller.ts";
import { addressAt, queryFault } from "./lists.ts";
import { described, problems } from "./responses.ts";

const query = Type.Object(
  {
    vni: Type.Integer({ description: "VXLAN network identifier" }),
    ip: Type.Optional(Type.String({ description: "Either this" })),
    mac: Type.Optional(Type.String({ description: "or this" })),
  },
  { additionalProperties: false },
);

export function resolveRoutes(app: App, { committer }: { committer: Committer }): void {
  app.get(
    "/v1/resolve",
    {
      config: { access: "read" },
      schema: {
        tags: ["resolve"],
        operationId: "resolve",
        summary: "The answer that an agent would get: the MAC of an IP, the tunnel endpoint of a MAC",
        querystring: query,
        response: { 200: described("Its location", ResolveView), ...problems("not-found") },
      },
    },
    (request) => {
      const { vni, ip, mac } = request.query;
      const key = parseQuestion(vni, ip, mac);
      const found = callerView(request, committer.current).findBound(key);
      if (!found) {
        const address = key.kind === "ip" ? key.ip : key.mac;
        throw new Refusal("not-found", `nothing is registered under ${address} in VNI ${vni}`);
      }
      return {
        vni,
        ...(key.kind === "ip" ? { ip: key.ip } : {}),
        mac: found.mac,
        vtep: found.host.vtep,
        port: found.host.port,
        host: found.host.name,
        vm: getOwner(committer.current, found, key),
        revision: found.revision,
      };
    },
  );
}

/** @throws RequestFormError */
function parseQuestion(vni: number, ip: string | undefined, mac: string | undefined): BindingKey {
  if (ip !== undefined && mac !== undefined) throw queryFault("", "ask for an ip or a mac, not for both");
  const network = addressAt("/vni", () => parseVni(vni));
  if (ip !== undefined) return { kind: "ip", vni: network, ip: addressAt("/ip", () => parseIp(ip)) };
  if (mac !== undefined) return { kind: "mac", vni: network, mac: addressAt("/mac", () => parseMac(mac)) };
  throw queryFault("", "ask for an ip or a mac");
}
