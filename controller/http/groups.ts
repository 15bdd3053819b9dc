// Multicast groups of a network, as the agents of its hosts report them.
import { GroupList, Name } from "../../schema/rest/index.ts";
import { Type } from "../../schema/typebox.ts";
import type { GroupMembers } from "../agents/group-members.ts";
import { Refusal } from "../inventory/refusal.ts";
import type { Committer } from "../write/committer.ts";
import type { App } from "./app-types.ts";
import { callerView } from "./caller.ts";
import { described, problems } from "./responses.ts";

/** Groups in one answer: a tenant's guests may join any number. */
const maxListed = 1_000;

export function groupRoutes(
  app: App,
  { committer, groups }: { readonly committer: Committer; readonly groups: Pick<GroupMembers, "groupsIn"> },
): void {
  app.get(
    "/v1/networks/:name/groups",
    {
      config: { access: "read", cost: "look" },
      schema: {
        tags: ["networks"],
        operationId: "listGroups",
        summary: "Multicast groups with members in the network, and their hosts",
        description:
          "As guests report them (IGMP, MLD), of a network whose `broadcast` is `replicate`; empty otherwise, and right after a start of the " +
          "controller until the agents have connected. At most 1,000 groups, in the order of their texts; `total` counts all.",
        params: Type.Object({ name: Name }),
        response: { 200: described("The groups", GroupList), ...problems("not-found") },
      },
    },
    (request) => {
      const { name } = request.params;
      const network = callerView(request, committer.current).findNetwork(name);
      if (!network) throw new Refusal("not-found", `no network is named "${name}"`);
      const all = groups.groupsIn(network);
      const items = all.slice(0, maxListed).map(({ group, hosts }) => ({ group, hosts: [...hosts] }));
      return { network: name, total: all.length, items };
    },
  );
}
