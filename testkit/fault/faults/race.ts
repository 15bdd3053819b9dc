// Two operators register one address at the same moment.
import { waitUntil } from "../../lab/wait.ts";
import { dumpOf } from "../dump.ts";
import type { Fault } from "../fault.ts";
import { blue, ipsOf, macOf } from "../scene.ts";

export const sameAddressTwice: Fault = {
  name: "one IP registered twice in a race: one 201, one 409, and agents follow the winner",
  act: async (scene, { races }) => {
    const target = scene.numbersFrom(races);
    // Hosts that have the address cached as unknown receive the winner.
    await scene.ask(
      scene.guest(0),
      target.map((n) => ipsOf(n)[0]),
    );
    for (const n of target) {
      const [left = 0, right = 0] = scene.numbersFrom(2);
      const register = (mac: number, host: string) =>
        scene.api("POST", "/v1/vms", {
          name: `race-${n}-${host}`,
          host,
          interfaces: [{ network: "blue", mac: macOf(blue, mac), ips: [ipsOf(n)[0]] }],
        });
      const replies = await Promise.all([register(left, "b"), register(right, "c")]);
      const statuses = replies.map(({ status }) => status).sort();
      if (statuses.join() !== "201,409") throw new Error(`${ipsOf(n)[0]} registered twice: ${statuses.join(" and ")}`);
    }
    const truth = (await scene.truth()).get(blue);
    const wanted = target.map((n) => `${ipsOf(n)[0]} ${truth?.macOf.get(ipsOf(n)[0])}`);
    await waitUntil(
      async () => {
        const held = new Set((await dumpOf(scene.host("a"), blue)).neighbours.map(({ ip, mac }) => `${ip} ${mac}`));
        return wanted.filter((each) => !held.has(each));
      },
      (missing) => missing.length === 0,
      { what: "host a to hold every winner (missing are)", deadlineMs: 5_000 },
    );
    return [`${races} races`];
  },
  tidy: (scene) => scene.deleteVms("race-"),
};
