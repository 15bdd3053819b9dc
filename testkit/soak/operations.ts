// The operations of a soak: everyday work of operators and guests, and occasional faults. Each leaves the lab healed.
import { randomInt } from "node:crypto";
import { knowledgeModes } from "../../schema/plain/index.ts";
import { ipsOf, type Scene } from "../fault/scene.ts";
import { Namespace } from "../lab/namespace.ts";
import { pause } from "../lab/wait.ts";

export interface Operation {
  readonly name: string;
  /** How often, beside the others. */
  readonly weight: number;
  /** Default: always. */
  possible?(world: World): boolean;
  act(soak: World): Promise<void>;
}

/** VMs without a guest, which are moved and deleted while guests ask for them. */
export interface World {
  readonly scene: Scene;
  /** By name, its number. */
  readonly vms: Map<string, number>;
  /** Hosts whose agent may be killed: the others show whether memory stays flat. */
  readonly mortal: readonly string[];
  /** The controller may be killed. */
  readonly controllerMortal: boolean;
}

const maxVms = 300;
const minVms = 50;
const oneOf = <T>(items: readonly T[]): T => items[randomInt(items.length)] as T;
const hostNames = ({ scene }: World): string[] => scene.lab.hosts.map(({ name }) => name);

const inventory: readonly Operation[] = [
  {
    name: "VMs registered",
    weight: 6,
    possible: ({ vms }) => vms.size < maxVms,
    act: async (world) => {
      for (const number of world.scene.numbersFrom(10)) {
        const name = `soak-${number}`;
        await world.scene.registerPeer(name, oneOf(hostNames(world)), [number]);
        world.vms.set(name, number);
      }
    },
  },
  {
    name: "VMs moved",
    weight: 8,
    possible: ({ vms }) => vms.size > 0,
    act: async (world) => {
      const names = [...world.vms.keys()];
      for (let i = 0; i < 10; i++) {
        await world.scene.call("PATCH", `/v1/vms/${oneOf(names)}`, { host: oneOf(hostNames(world)) });
      }
    },
  },
  {
    name: "VMs deleted",
    weight: 4,
    possible: ({ vms }) => vms.size > minVms,
    act: async ({ scene, vms }) => {
      for (let i = 0; i < 5; i++) {
        const name = oneOf([...vms.keys()]);
        await scene.call("DELETE", `/v1/vms/${name}`);
        vms.delete(name);
      }
    },
  },
  {
    name: "VMs asked for",
    weight: 10,
    possible: ({ vms }) => vms.size > 0,
    act: async ({ scene, vms }) => {
      const numbers = [...vms.values()];
      const ips = Array.from({ length: 30 }, () => ipsOf(oneOf(numbers))[0]);
      await scene.ask(scene.guest(oneOf([0, 1, 2] as const)), ips);
    },
  },
  {
    name: "the network's knowledge changed",
    weight: 3,
    act: ({ scene }) => scene.call("PATCH", "/v1/networks/blue", { knowledge: oneOf(knowledgeModes) }).then(() => {}),
  },
  {
    name: "requests for unregistered addresses",
    weight: 3,
    act: async ({ scene }) => {
      const ips = Array.from({ length: 50 }, () => `10.20.${200 + randomInt(50)}.${randomInt(1, 255)}`);
      await scene.ask(scene.guest(oneOf([0, 1, 2] as const)), ips);
    },
  },
];

const faults: readonly Operation[] = [
  {
    name: "an agent killed",
    weight: 2,
    act: async ({ scene, mortal }) => {
      const host = oneOf(mortal);
      await scene.host(host).agent.stop("SIGKILL");
      scene.startAgent(host);
      await scene.inStep(host);
    },
  },
  {
    name: "the controller killed",
    weight: 1,
    possible: ({ controllerMortal }) => controllerMortal,
    act: async ({ scene }) => {
      await scene.lab.controller.stop("SIGKILL");
      await scene.startController();
      await scene.allConnected();
    },
  },
  {
    name: "the controller cut off for two seconds",
    weight: 1,
    act: async ({ scene }) => {
      const { switch: name, controller } = scene.lab.plan;
      const underlay = new Namespace(name);
      await underlay.ip(`link set ${controller.switchPort} down`);
      await pause(2_000);
      await underlay.ip(`link set ${controller.switchPort} up`);
    },
  },
  {
    name: "entries deleted by hand",
    weight: 1,
    act: async (world) => {
      const host = world.scene.host(oneOf(hostNames(world)));
      await host.exec(["ip", "neigh", "flush", "dev", "nmv100", "nud", "permanent"]);
    },
  },
];

export const operations: readonly Operation[] = [...inventory, ...faults];

/** One of those that are possible now. */
export function pick(world: World): Operation {
  const possible = operations.filter((each) => each.possible?.(world) ?? true);
  let at = randomInt(possible.reduce((sum, { weight }) => sum + weight, 0));
  for (const operation of possible) {
    at -= operation.weight;
    if (at < 0) return operation;
  }
  throw new Error("weights do not add up");
}
