// Another program changes devices of the agent. Some changes delete entries, so packets may be lost until they are restored.
import type { Fault } from "../fault.ts";
import { blue } from "../scene.ts";

const backWithinMs = 2_000;
/** Guests ask again after a second, and keep a failed entry for a second more. */
const gapMs = 3_000;
const vxlan = `nmv${blue}`;
const bridge = `nmb${blue}`;

const works: readonly (readonly [string, ...string[]])[] = [
  ["the tunnel device set down", `link set ${vxlan} down`],
  ["flannel#877: the tunnel device deleted", `link del ${vxlan}`],
  ["the tunnel device renamed", `link set ${vxlan} name elsewhere0`],
  ["the tunnel device put into another bridge", "link add other0 type bridge", `link set ${vxlan} master other0`],
  ["the tunnel device's MTU lowered", `link set ${vxlan} mtu 1300`],
  ["the bridge set down", `link set ${bridge} down`],
  ["the bridge renamed", `link set ${bridge} name elsewhere1`],
  ["the bridge deleted under its guests", `link del ${bridge}`],
];

export const deviceFaults: readonly Fault[] = works.map(([what, ...commands]) => ({
  name: `${what}: entries are back within 2 s`,
  mayLose: { because: "there is no way through a device that is not there", forMs: gapMs },
  equalWithinMs: backWithinMs,
  act: async (scene) => {
    await scene.host("a").ip(...commands);
    return [];
  },
  tidy: async (scene) => {
    const host = scene.host("a");
    if (host.interfaces().includes("other0")) await host.ip("link del other0");
  },
}));
