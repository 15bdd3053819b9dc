// The controller runs, but is unreachable: cable pulled, or packets lost on the path. Tunnels continue to work.
import { Namespace } from "../../lab/namespace.ts";
import { pause, waitFor } from "../../lab/wait.ts";
import { cutOff } from "../cut-off.ts";
import type { Fault } from "../fault.ts";
import { inWindows, ipsOf, type Scene } from "../scene.ts";
import { agentsNotice, noticedWithinMs, seconds } from "./processes.ts";

/** Below the number of questions that a guest may ask in a second. */
const askedAtOnce = 150;

export const partition: Fault = {
  name: "a partition during VM moves: unmoved flows lose nothing, all is right within 5 s of healing",
  waits: true,
  act: async (scene, { partitionS, moves }) => {
    const numbers = scene.numbersFrom(moves);
    const names = numbers.map((n) => `moving-${n}`);
    await inWindows(numbers, (n) => scene.registerPeer(`moving-${n}`, "b", [n]));
    await askGently(scene, numbers);
    const { switch: switchName, controller } = scene.lab.plan;
    const network = new Namespace(switchName);
    const healAtMs = performance.now() + partitionS * 1_000;
    await network.ip(`link set ${controller.switchPort} down`);
    try {
      // The controller itself can be reached from where it runs.
      await inWindows(names, (name, i) => scene.call("PATCH", `/v1/vms/${name}`, { host: i % 2 === 0 ? "c" : "a" }));
      await pause(healAtMs - performance.now());
    } finally {
      await network.ip(`link set ${controller.switchPort} up`);
    }
    return [`${moves} moves in ${partitionS} s`];
  },
  tidy: (scene) => scene.deleteVms("moving-"),
};

/** Asks for as many at a time as a guest may, and again for uncached ones after a second, as a guest does. */
async function askGently(scene: Scene, numbers: readonly number[]): Promise<void> {
  let missing = numbers.map((n) => ipsOf(n)[0]);
  for (let tries = 0; missing.length > 0; tries++) {
    if (tries > numbers.length / askedAtOnce + 10)
      throw new Error(`host a does not learn of ${missing.length} addresses`);
    await scene.ask(scene.guest(0), missing.slice(0, askedAtOnce));
    await pause(1_000);
    const held = await scene.heldOn("a");
    missing = missing.filter((ip) => !held.has(ip));
  }
}

export const halfOpen: Fault = {
  name: "a connection whose packets vanish both ways is noticed on both sides within 20 s",
  waits: true,
  act: async (scene) => {
    const heal = await cutOff(scene, "a");
    const startMs = performance.now();
    try {
      const controllerNotices = waitFor(async () => !(await scene.isConnected("a")), {
        what: "the controller to notice",
        deadlineMs: noticedWithinMs,
        everyMs: 100,
      }).then(() => seconds(startMs));
      const agentNotices = agentsNotice(scene, ["a"]).then(() => seconds(startMs));
      const [byController, byAgent] = await Promise.all([controllerNotices, agentNotices]);
      return [`noticed by the agent after ${byAgent}, by the controller after ${byController}`];
    } finally {
      await heal();
    }
  },
};
