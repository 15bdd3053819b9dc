// Same addresses, two tenants: each reaches its own, neither sees the other.
import { macText } from "../../lab/frames.ts";
import { guestDevice } from "../../lab/guest.ts";
import { openPacketSocket } from "../../lab/packets.ts";
import { blue, blueDb, blueWeb, red, redDb, redVault, redWeb } from "../cast.ts";
import type { Stage } from "../stage.ts";

/** The prefix of the MACs of all guests of blue. */
const blueMacs = blueWeb.mac.slice(0, 11);

export async function twoNetworks(stage: Stage): Promise<void> {
  const { story, checks, watch } = stage;
  story.chapter("Two networks that do not see each other");
  story.say(
    `${redWeb.name} pings ${redDb.ipv4} as ${blueWeb.name} did before: same host, same address, another network.`,
  );
  story.blank();
  await stage.talk(redWeb, redDb, redDb.ipv4);
  const [inBlue, inRed] = await Promise.all(
    [blueWeb, redWeb].map((from) => stage.guest(from).exec(["ip", "neigh", "show", "to", redDb.ipv4])),
  );
  checks.expect(
    `${redDb.ipv4} is another machine in each`,
    (inBlue ?? "").includes(blueDb.mac) && (inRed ?? "").includes(redDb.mac),
    `${blueDb.mac} for ${blueWeb.name}, ${redDb.mac} for ${redWeb.name}`,
  );
  story.blank();
  story.say(
    `${redVault.ipv4} exists in red only. ${redWeb.name} reaches it. ${blueWeb.name} asks for it too, while a capture ` +
      `runs inside ${redVault.name}.`,
  );
  story.blank();
  await stage.talk(redWeb, redVault, redVault.ipv4);
  const capture = await openPacketSocket(stage.guest(redVault), guestDevice);
  const known = watch.misses.length;
  const result = await stage.guest(blueWeb).ping(redVault.ipv4, { count: 2, deadlineS: 1 });
  await watch.settled();
  const blueFrames = capture.frames().filter(({ bytes }) => macText(bytes.subarray(6, 12)).startsWith(blueMacs));
  capture.close();
  const unknown = watch.misses.slice(known).filter((miss) => miss.vni === blue.vni && miss.totalMs === undefined);
  checks.expect(
    `${blueWeb.name} does not reach ${redVault.name}`,
    result.received === 0 && unknown.length > 0,
    `${result.received} of ${result.sent} answered, and the controller knows no ${redVault.ipv4} in blue`,
  );
  checks.expect(
    `No frame of blue is seen inside ${redVault.name}`,
    blueFrames.length === 0,
    `${blueFrames.length} frames captured`,
  );
  const redTable = await stage.lab.host("a").exec(["bridge", "fdb", "show", "dev", `nmv${red.vni}`]);
  const strangers = redTable.split("\n").filter((line) => line.startsWith(blueMacs)).length;
  checks.expect(
    "Red's tables on host a contain no guest of blue",
    strangers === 0,
    `${strangers} entries with a MAC of blue`,
  );
}
