// While an agent was disconnected, VMs moved, were deleted and created again elsewhere, and the log was compacted
// beyond that. The agent receives the present answers for its keys, not the past changes: none of it needs the log.
import { waitFor } from "../../lab/wait.ts";
import { cutOff } from "../cut-off.ts";
import { untilEqual } from "../equal.ts";
import type { Fault } from "../fault.ts";
import { blue, ipsOf, macOf, type Scene, tunnel } from "../scene.ts";
import { deletedOn } from "../watch.ts";

const held = 100;
/** The least that the controller takes. */
const logged = 100;

export const logCompacted: Fault = {
  name: "the log compacted while an agent was away: present answers, without flush and refill",
  act: async (scene) => {
    const numbers = scene.numbersFrom(held);
    const names = numbers.map((n) => `logged-${n}`);
    const some = (tenth: number) => numbers.filter((_, i) => i % 10 === tenth);
    const [moved, deleted, replaced] = [some(0), some(1), some(2)];
    for (const [i, n] of numbers.entries()) await scene.registerPeer(names[i] ?? "", "b", [n]);
    const ips = numbers.map((n) => ipsOf(n)[0]);
    await scene.ask(scene.guest(0), ips);
    await scene.holds("a", ips);
    const before = await scene.held();
    const heard = await revision(scene);
    await scene.lab.controller.stop("SIGKILL");
    const heal = await cutOff(scene, "a");
    let compacted = 0;
    let equalMs = 0;
    const gone = await deletedOn(scene.host("a"), tunnel, async () => {
      try {
        await scene.startController({ extraArgs: ["--log-max-events", `${logged}`] });
        for (const n of deleted) await scene.call("DELETE", `/v1/vms/logged-${n}`);
        for (const n of replaced) {
          await scene.call("DELETE", `/v1/vms/logged-${n}`);
          await scene.registerPeer(`logged-again-${n}`, "c", [n]);
        }
        compacted = await moveUntilCompacted(scene, moved, heard);
        if (await scene.isConnected("a")) throw new Error("host a was not away");
      } finally {
        await heal();
      }
      equalMs = await untilEqual(scene, before, 5_000);
    });
    const mayGo = new Set(deleted.flatMap((n) => [...ipsOf(n), macOf(blue, n)]));
    const wrong = gone.filter((name) => !mayGo.has(name));
    if (wrong.length > 0) throw new Error(`deleted, and they stay: ${wrong.join(", ")}`);
    return [`heard last: ${heard}, compacted up to ${compacted}; all right ${equalMs} ms after healing`];
  },
  tidy: (scene) => scene.deleteVms("logged-"),
};

async function revision(scene: Scene): Promise<number> {
  return (await scene.call<{ revision: number }>("GET", "/readyz")).revision;
}

/** Back and forth, at last on c. @returns up to which revision the log is forgotten */
async function moveUntilCompacted(scene: Scene, numbers: readonly number[], beyond: number): Promise<number> {
  let compacted = 0;
  await waitFor(
    async () => {
      for (const host of ["b", "c"]) {
        for (const n of numbers) await scene.call("PATCH", `/v1/vms/logged-${n}`, { host });
      }
      const metrics = await scene.call<string>("GET", "/metrics");
      compacted = Number(/^nearmiss_controller_log_compacted (\d+)$/m.exec(metrics)?.[1]);
      return compacted > beyond;
    },
    { what: `the log to be compacted beyond ${beyond}` },
  );
  return compacted;
}
