// For parts that are tested without a network whose broadcasts are copied.
import { Broadcasts } from "../../node-agent/networks/broadcasts.ts";
import { RegisteredNetworks } from "../../node-agent/networks/registered-networks.ts";
import { defaultCopiesPerSecond } from "../../node-agent/tables/broadcast.ts";
import { GroupTables } from "../../node-agent/tables/group-tables.ts";
import { HostTables } from "../../node-agent/tables/host-tables.ts";

export const noBroadcasts = new Broadcasts({
  registered: new RegisteredNetworks(),
  hostTables: new HostTables("a"),
  groupTables: new GroupTables(),
  devices: { adoptedFor: () => undefined },
  copiesPerSecond: defaultCopiesPerSecond,
  write: async () => [],
  look: () => {},
  nowMs: () => 0,
});
