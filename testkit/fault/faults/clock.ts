// Wall clocks that jump. Only monotonic time drives timers, so no process may notice.
import type { LabProcess } from "../../lab/process.ts";
import { builtFile } from "../../lab/programs.ts";
import { pause } from "../../lab/wait.ts";
import type { Fault } from "../fault.ts";
import type { Scene } from "../scene.ts";

/** Two heartbeats and more: a session that a step has ended would show. */
const watchedMs = 11_000;

export const clockSteps: Fault = {
  name: "the wall clocks of agent and controller step by an hour, ahead and back: no session ends",
  waits: true,
  act: async (scene) => {
    const preload = builtFile("testkit", "fault", "stepped-clock.js");
    await restart(scene, { preload });
    const { agent } = scene.host("a");
    const { controller } = scene.lab;
    let ended = 0;
    agent.onLog((line) => {
      if (line.msg === "no session with the controller") ended++;
    });
    for (const _ of ["an hour ahead", "an hour behind"]) {
      await Promise.all([agent, controller].map(step));
      await pause(watchedMs / 2);
    }
    if (ended > 0) throw new Error(`${ended} sessions ended with the step`);
    await restart(scene, {});
    return ["+1 h, then −1 h, of both processes"];
  },
};

async function restart(scene: Scene, options: { readonly preload?: string }): Promise<void> {
  await scene.host("a").agent.stop();
  await scene.lab.controller.stop();
  await scene.startController(options);
  scene.startAgent("a", options);
  await scene.inStep("a");
  await scene.allConnected();
}

async function step(process: LabProcess): Promise<void> {
  const stepped = process.nextLog((line) => line.msg === "clock stepped", "its clock to step");
  process.signal("SIGWINCH");
  await stepped;
}
