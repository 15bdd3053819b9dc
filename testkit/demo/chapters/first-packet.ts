// The core of the demo: a guest sends, the kernel misses, the agent asks, the controller answers, the kernel forwards.
import { blue, blueCache, blueDb, blueWeb } from "../cast.ts";
import type { Stage } from "../stage.ts";

export async function firstPacket(stage: Stage): Promise<void> {
  const { story, checks } = stage;
  story.chapter("The first packet");
  story.say(
    `${blueWeb.name} on host a pings ${blueDb.name} on host b. Host a's kernel does not know ${blueDb.ipv4} and ` +
      "reports a miss. An l3miss asks which MAC an IP address has, an l2miss which host a MAC is behind.",
  );
  story.blank();
  await stage.talk(blueWeb, blueDb, blueDb.ipv4);
  story.blank();
  story.say("One answer is three entries, written together: neighbour, tunnel entry and bridge entry.");
  story.blank();
  const tables = await stage.showTables("a", blue);
  const { address } = stage.lab.host(blueDb.host);
  story.blank();
  checks.expect(
    "Host a's kernel has the whole answer",
    tables.includes(`${blueDb.ipv4} lladdr ${blueDb.mac}`) &&
      new RegExp(`${blueDb.mac} .*dst ${address}`).test(tables) &&
      new RegExp(`${blueDb.mac} .*master nmb${blue.vni}`).test(tables),
    `${blueDb.ipv4} is ${blueDb.mac} is behind ${address}`,
  );
  checks.expect(
    "Host a has only entries that its own guests asked for",
    !tables.includes(blueCache.mac),
    `nothing of ${blueCache.name}, which no guest there communicates with`,
  );
}

export async function sameInIpv6(stage: Stage): Promise<void> {
  const { story } = stage;
  story.chapter("The same in IPv6");
  story.say("Neighbour solicitations miss like ARP requests do.");
  story.blank();
  await stage.talk(blueWeb, blueDb, blueDb.ipv6);
  story.blank();
  await stage.show("a", `ip -6 neigh show dev nmv${blue.vni}`);
}
