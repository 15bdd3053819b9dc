// Multicast groups with members among the guests of a network.
import { type Static, Type } from "../typebox.ts";
import { closed, Name } from "./metadata.ts";

const Group = Type.Object(
  {
    group: Type.String({ description: "An IPv4 or IPv6 multicast address", examples: ["239.1.2.3", "ff05::123"] }),
    hosts: Type.Array(Name, { description: "Hosts with a member, also hosts without a session at present" }),
  },
  { ...closed, title: "Group" },
);

/** Answer of GET /v1/networks/{name}/groups. */
export const GroupList = Type.Object(
  {
    network: Name,
    total: Type.Integer({ minimum: 0, description: "Groups of the network" }),
    items: Type.Array(Group),
  },
  { ...closed, title: "GroupList" },
);
export type GroupList = Static<typeof GroupList>;
