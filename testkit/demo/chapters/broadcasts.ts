// A network whose broadcasts reach the guests of other hosts, and only these.
import { broadcastMac, ethernet, etherTypes, udpPacket } from "../../lab/frames.ts";
import { guestDevice } from "../../lab/guest.ts";
import { openPacketSocket, type PacketSocket } from "../../lab/packets.ts";
import { waitFor } from "../../lab/wait.ts";
import { blue, blueCache, blueDb, blueWeb, redVault } from "../cast.ts";
import type { Stage } from "../stage.ts";

const text = "who offers a printer?";

export async function copyBroadcasts(stage: Stage): Promise<void> {
  const { story, checks, lab } = stage;
  story.chapter("Broadcasts between hosts");
  story.say(
    "By default a broadcast stays on its host, because flooding would hide misses. A network may have its broadcasts copied: " +
      "one copy to each other host with a VM in it. ARP and DHCP are still not copied.",
  );
  story.blank();
  await stage.call("PATCH", `/v1/networks/${blue.name}`, { broadcast: "replicate" });
  story.event("operator", "PATCH", `/v1/networks/${blue.name}   {"broadcast":"replicate"}`);
  const host = lab.host(blueWeb.host);
  const destinations = async (): Promise<string[]> => {
    const fdb = await host.exec(["bridge", "fdb", "show", "dev", `nmv${blue.vni}`]);
    return fdb.split("\n").filter((line) => line.startsWith(`${broadcastMac} dst `));
  };
  await waitFor(async () => (await destinations()).length === 2, { what: "two destinations of broadcasts" });
  story.blank();
  await stage.show(host.name, `bridge fdb show dev nmv${blue.vni} | grep ${broadcastMac}`);
  const open = (member: typeof blueWeb) => openPacketSocket(stage.guest(member), guestDevice);
  const [out, db, cache, vault] = await Promise.all([open(blueWeb), open(blueDb), open(blueCache), open(redVault)]);
  const ports = { fromPort: 5_353, toPort: 5_353 };
  const payload = udpPacket({ from: blueWeb.ipv4, to: "255.255.255.255", ...ports, payload: Buffer.from(text) });
  out.inject(ethernet({ to: broadcastMac, from: blueWeb.mac, type: etherTypes.ipv4, payload }));
  const copies = (socket: PacketSocket): number =>
    socket.frames().filter(({ bytes, outgoing }) => !outgoing && bytes.includes(text)).length;
  // One that does not come is a promise that is not kept.
  await waitFor(() => copies(db) > 0 && copies(cache) > 0, { what: "the broadcast" }).catch(() => undefined);
  const heard = [db, cache, vault, out].map(copies);
  for (const socket of [out, db, cache, vault]) socket.close();
  await stage.call("PATCH", `/v1/networks/${blue.name}`, { broadcast: null });
  await waitFor(async () => (await destinations()).length === 0, { what: "the destinations to leave" });
  story.blank();
  checks.expect(
    `A broadcast of ${blueWeb.name} reaches each guest of blue once, and no guest of red`,
    heard.join() === "1,1,0,0",
    `${heard[0]} at ${blueDb.name}, ${heard[1]} at ${blueCache.name}, ${heard[2]} at ${redVault.name}`,
  );
}
