// Agent and controller killed or stopped. Nothing of that is on the data path, so no packet may be lost.
import { randomInt } from "node:crypto";
import type { Host } from "../../lab/host.ts";
import { pause, waitFor } from "../../lab/wait.ts";
import { dumpOf } from "../dump.ts";
import type { Fault } from "../fault.ts";
import { blue, ipsOf, type Scene } from "../scene.ts";
import { whileWatching } from "../watch.ts";

/** Both sides call a silent session dead within this time. */
export const noticedWithinMs = 20_000;

export const agentKilled: Fault = {
  name: "flannel#628: an agent killed at random points, again and again",
  act: async (scene, { kills }) => {
    for (let i = 0; i < kills; i++) {
      await scene.host("a").agent.stop("SIGKILL");
      const agent = scene.startAgent("a");
      // From before its first line until long after its last.
      await pause(randomInt(0, 1_500));
      agent.signal("SIGKILL");
      await agent.ended;
      scene.startAgent("a");
      await scene.inStep("a");
    }
    return [`killed ${2 * kills} times`];
  },
};

/** Each interface has two neighbours, a tunnel and a bridge entry. */
const writtenEntries = 10_000;
const entriesEach = 4;
const interfacesPerVm = 32;

export const agentKilledWriting: Fault = {
  name: "an agent killed while it writes 10,000 entries takes over what is there, without a flush",
  act: async (scene) => {
    const host = scene.host("a");
    const numbers = await furnishMany(scene, writtenEntries / entriesEach);
    await host.agent.stop("SIGKILL");
    // The agent finds the neighbours that an earlier run left, all of them wrong by now, and none of their ways.
    const stale = numbers
      .flatMap(ipsOf)
      .map((ip) => `neigh replace ${ip} lladdr 52:54:b1:ff:ff:ff dev nmv${blue} nud permanent protocol 78`);
    await host.ip(...stale);
    const written = await killWhileWriting(scene, host, randomInt(1, writtenEntries));
    scene.startAgent("a");
    await scene.inStep("a");
    await scene.holds("a", numbers.flatMap(ipsOf));
    return [`killed after ${written} of ${writtenEntries} entries`];
  },
  tidy: (scene) => scene.deleteVms("many-"),
};

async function furnishMany(scene: Scene, interfaces: number): Promise<number[]> {
  const numbers = scene.numbersFrom(interfaces);
  for (let i = 0; i < interfaces; i += interfacesPerVm) {
    await scene.registerPeer(`many-${numbers[i]}`, "b", numbers.slice(i, i + interfacesPerVm));
  }
  return numbers;
}

/** Kills a new agent when it has written so many entries. @returns how many were there when it was dead */
async function killWhileWriting(scene: Scene, host: Host, entries: number): Promise<number> {
  let seen = 0;
  const kill = (): void => {
    seen++;
    if (seen === entries) host.agent.signal("SIGKILL");
  };
  await whileWatching(host, kill, async () => {
    const agent = scene.startAgent(host.name);
    await waitFor(() => seen >= entries, { what: `${entries} entries to be written` });
    await agent.ended;
  });
  const { neighbours, tunnel, bridge } = await dumpOf(host, blue);
  const corrected = neighbours.filter(({ mac }) => mac !== "52:54:b1:ff:ff:ff").length;
  return corrected + tunnel.length + bridge.length;
}

export const controllerKilled: Fault = {
  name: "the controller killed, away, and back",
  act: async (scene) => {
    await scene.lab.controller.stop("SIGKILL");
    await pause(500);
    await scene.startController();
    return [];
  },
};

export const bothKilled: Fault = {
  name: "flannel#636: controller and all agents killed at once",
  act: async (scene) => {
    await Promise.all(
      [scene.lab.controller, ...scene.lab.hosts.map(({ agent }) => agent)].map((each) => each.stop("SIGKILL")),
    );
    await pause(500);
    for (const { name } of scene.lab.hosts) scene.startAgent(name);
    await scene.startController();
    return [];
  },
};

export const agentStopped: Fault = {
  name: "an agent that stands still is noticed within 20 s",
  waits: true,
  act: async (scene) => {
    const { agent } = scene.host("a");
    agent.signal("SIGSTOP");
    try {
      const startMs = performance.now();
      await waitFor(async () => !(await scene.isConnected("a")), {
        what: "the controller to notice",
        deadlineMs: noticedWithinMs,
        everyMs: 100,
      });
      return [`noticed after ${seconds(startMs)}`];
    } finally {
      agent.signal("SIGCONT");
    }
  },
};

export const controllerStopped: Fault = {
  name: "a controller that stands still is noticed within 20 s",
  waits: true,
  act: async (scene) => {
    const { controller } = scene.lab;
    controller.signal("SIGSTOP");
    const startMs = performance.now();
    try {
      await agentsNotice(scene, ["a", "b", "c"]);
      return [`noticed by all agents after ${seconds(startMs)}`];
    } finally {
      controller.signal("SIGCONT");
    }
  },
};

/** @throws WaitError where one of them has not called its session dead in time */
export async function agentsNotice(scene: Scene, hosts: readonly string[]): Promise<void> {
  const lost = (host: string) =>
    scene
      .host(host)
      .agent.nextLog(
        (line) => line.msg === "no session with the controller",
        "its session to be called dead",
        noticedWithinMs,
      );
  await Promise.all(hosts.map(lost));
}

export function seconds(startMs: number): string {
  return `${((performance.now() - startMs) / 1_000).toFixed(1)} s`;
}
