// Addresses that have moved between guests too often, and may move again.
import { type IpAddress, parseIp } from "../../schema/address/index.ts";
import { InputError, Name, ThawInput, ThawView } from "../../schema/rest/index.ts";
import { Type } from "../../schema/typebox.ts";
import type { Takeovers } from "../agents/takeovers.ts";
import { Refusal } from "../inventory/refusal.ts";
import type { Committer } from "../write/committer.ts";
import type { App } from "./app-types.ts";
import { callerView } from "./caller.ts";
import { bodyProblems, described, problems } from "./responses.ts";

export function thawRoutes(
  app: App,
  { committer, takeovers }: { readonly committer: Committer; readonly takeovers: Pick<Takeovers, "thaw"> },
): void {
  app.post(
    "/v1/networks/:name/thaw",
    {
      config: { access: "write" },
      schema: {
        tags: ["networks"],
        operationId: "thawAddress",
        summary: "Let an address move between guests again",
        description:
          "An address of `allowedAddresses` that moves five times within 180 s stays where it is (condition `address-frozen`). An address that is " +
          "not frozen stays as it is.",
        params: Type.Object({ name: Name }),
        body: ThawInput,
        response: { 200: described("Whether it was frozen", ThawView), ...problems("not-found", ...bodyProblems) },
      },
    },
    (request) => {
      const { name } = request.params;
      const seen = callerView(request, committer.current);
      const network = seen.findNetwork(name);
      if (!network) throw new Refusal("not-found", `no network is named "${name}"`);
      const ip = parseAddress(request.body.ip);
      if (committer.current.interfacesAllowing(name, ip).length === 0) {
        throw new Refusal("not-found", `no interface in network "${name}" may take ${ip} (allowedAddresses)`);
      }
      return { network: name, ip, thawed: takeovers.thaw(network, ip) };
    },
  );
}

/** @throws InputError */
function parseAddress(text: string): IpAddress {
  try {
    return parseIp(text);
  } catch (error) {
    throw new InputError([{ pointer: "/ip", detail: error instanceof Error ? error.message : String(error) }]);
  }
}
