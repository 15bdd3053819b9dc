// Hosts that have a network in memory and on disk, without their controller, and a controller that returns with less than they know.
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { nearmiss } from "../../lab/programs.ts";
import { waitFor } from "../../lab/wait.ts";
import type { Fault } from "../fault.ts";
import { agentArgs, blue, ipsOf, macOf, type Scene, tunnel } from "../scene.ts";
import { deletedOn } from "../watch.ts";
import { replaceDatabase } from "./store.ts";

/** Peers without a guest. */
const peers = 100;
/** From the loss of the devices until the agent has started and the guests are plugged in, on a busy machine. */
const restartMs = 60_000;

const stateDir = (scene: Scene): string => join(scene.lab.directory, "kept");

/** Blue is in the memory of all hosts, and what they know is on disk. */
async function remember(scene: Scene): Promise<void> {
  for (const { name } of scene.lab.hosts) {
    await scene.host(name).agent.stop("SIGTERM");
    startKeeping(scene, name);
  }
  await scene.allConnected();
  await scene.call("PATCH", "/v1/networks/blue", { knowledge: "replicate" });
  await untilComplete(scene);
}

function startKeeping(scene: Scene, host: string): void {
  scene.host(host).startAgent({ extraArgs: [...agentArgs, "--state-dir", stateDir(scene)] });
}

/** Every host has every address of blue, and a session. */
async function untilComplete(scene: Scene): Promise<void> {
  const vms = await scene.list("vms");
  const ofBlue = vms.flatMap(({ interfaces }) => interfaces).filter(({ network }) => network === "blue");
  const addresses = ofBlue.reduce((sum, { ips }) => sum + 1 + ips.length, 0);
  for (const { name } of scene.lab.hosts) {
    await waitFor(
      async () => {
        const replica = await replicaOn(scene, name);
        return replica?.state === "complete" && replica.addresses === addresses;
      },
      { what: `host ${name} to have all ${addresses} addresses in memory`, everyMs: 200 },
    );
  }
}

interface Replica {
  readonly state: string;
  readonly addresses: number;
}

async function replicaOn(scene: Scene, name: string): Promise<Replica | undefined> {
  const host = scene.host(name);
  const text = await host.exec(nearmiss("agent", "status", "--socket", host.agentSocket, "-o", "json"));
  const { networks } = JSON.parse(text) as { networks: { vni: number; replica?: Replica }[] };
  return networks.find(({ vni }) => vni === blue)?.replica;
}

/** As a machine that starts: no device of nearmiss is there, and the hypervisor plugs its VMs in when the bridges are. */
async function restart(scene: Scene, name: string): Promise<void> {
  const host = scene.host(name);
  const ours = host.interfaces().filter((each) => /^nm[bv]\d+$/.test(each));
  const plugs: [port: string, bridge: string][] = [];
  for (const bridge of ours.filter((each) => each.startsWith("nmb"))) {
    const ports = (await host.exec(["ip", "-o", "link", "show", "master", bridge])).split("\n");
    for (const line of ports) {
      const [, port] = /^\d+: ([^:@]+)[:@]/.exec(line) ?? [];
      if (port !== undefined && !ours.includes(port)) plugs.push([port, bridge]);
    }
  }
  await host.ip(...ours.map((each) => `link del ${each}`));
  startKeeping(scene, name);
  for (const [port, bridge] of plugs) {
    await waitFor(() => host.interfaces().includes(bridge), { what: `bridge ${bridge} on host ${name}` });
    await host.ip(`link set ${port} master ${bridge} up`);
  }
}

async function forgetAll(scene: Scene, prefix: string): Promise<void> {
  await scene.deleteVms(prefix);
  await scene.call("PATCH", "/v1/networks/blue", { knowledge: null });
  for (const { name } of scene.lab.hosts) {
    await scene.host(name).agent.stop("SIGTERM");
    scene.startAgent(name);
    await scene.inStep(name);
  }
}

export const restartedAlone: Fault = {
  name: "flannel#1828: a host restarted while the controller is away: guests that never met meet",
  mayLose: { because: "a host that restarts has no devices", forMs: restartMs },
  restarts: ["a"],
  act: async (scene) => {
    await remember(scene);
    const [n = 0, spare = 0] = scene.numbersFrom(2);
    const met = await scene.bootVm("met-guest", "b", "blue", blue, n);
    await scene.registerPeer("met-peer", "b", [spare]);
    await untilComplete(scene);
    await scene.host("a").agent.stop("SIGTERM");
    await scene.lab.controller.stop("SIGKILL");
    const startMs = performance.now();
    await restart(scene, "a");
    const pluggedMs = performance.now() - startMs;
    const guest = scene.guest(0);
    await guest.forgetNeighbours();
    for (const ip of ipsOf(n)) {
      const { received } = await guest.ping(ip);
      if (received !== 1) throw new Error(`${ip}, which the host has never used, does not answer without a controller`);
    }
    const tunnelled = await scene.heldOn("a");
    if (tunnelled.has(ipsOf(spare)[0])) throw new Error("an address that no guest asked for is in the kernel");
    await scene.startController();
    await scene.allConnected();
    await met.remove();
    return [`plugged in again after ${(pluggedMs / 1_000).toFixed(1)} s`];
  },
  tidy: (scene) => forgetAll(scene, "met-"),
};

export const restoredUnderMemory: Fault = {
  name: "a backup restored that is older than what hosts have in memory: they follow it, without flush and refill",
  act: async (scene) => {
    await remember(scene);
    const numbers = scene.numbersFrom(peers);
    const names = numbers.map((n) => `recalled-${n}`);
    for (const [i, n] of numbers.entries()) await scene.registerPeer(names[i] ?? "", "b", [n]);
    const addresses = numbers.map((n) => ipsOf(n)[0]);
    await scene.ask(scene.guest(0), addresses);
    await scene.holds("a", addresses);
    const db = join(scene.lab.directory, "controller.db");
    const backup = join(scene.lab.directory, `recalled-${Date.now()}.db`);
    await scene.lab.controller.stop("SIGTERM");
    await copyFile(db, backup);
    await scene.startController();
    await scene.allConnected();
    const moved = names.filter((_, i) => i % 10 === 0);
    for (const name of moved) await scene.call("PATCH", `/v1/vms/${name}`, { host: "c" });
    const [later = 0] = scene.numbersFrom(1);
    await scene.registerPeer("recalled-later", "b", [later]);
    await untilComplete(scene);
    await scene.lab.controller.stop("SIGKILL");
    // From memory: the backup does not have it.
    await scene.ask(scene.guest(0), [ipsOf(later)[0]]);
    await scene.holds("a", [ipsOf(later)[0]]);
    const deleted = await deletedOn(scene.host("a"), tunnel, async () => {
      await replaceDatabase(db, backup, true);
      await scene.startController();
      await scene.allConnected();
      await untilComplete(scene);
      await waitFor(async () => !(await scene.heldOn("a")).has(ipsOf(later)[0]), {
        what: "the VM that the backup does not have to leave the kernel",
      });
    });
    const gone = [macOf(blue, later), ...ipsOf(later)];
    const others = deleted.filter((line) => !gone.some((each) => line.includes(each)));
    if (others.length > 0) throw new Error(`${others.length} entries were deleted that stay, such as ${others[0]}`);
    return [`${peers} addresses cached, ${moved.length} moves undone, 1 VM gone, no other entry deleted`];
  },
  tidy: (scene) => forgetAll(scene, "recalled-"),
};
