// Random histories: changes by operators, guests, crashes and foreign writes to the tables, in any order. After each,
// every host's entries must match the inventory.
import { randomInt } from "node:crypto";
import fc from "fast-check";
import { CommandError } from "../../lab/command.ts";
import { untilEqual } from "../equal.ts";
import type { Fault } from "../fault.ts";
import { blue, ipsOf, macOf, type Scene } from "../scene.ts";

const hosts = ["a", "b", "c"] as const;
const vms = 6;
/** Fewer than VMs could have: they meet at the same addresses. */
const addresses = 4;
const steps = 20;
const equalWithinMs = 5_000;

const someHost = fc.constantFrom(...hosts);
const someVm = fc.integer({ min: 0, max: vms - 1 });
const someAddress = fc.integer({ min: 0, max: addresses - 1 });

type Step =
  /** Refused where another VM has the address; so is all that is not there. */
  | {
      readonly do: "create";
      readonly vm: number;
      readonly host: string;
      readonly address: number;
      readonly ownMac: boolean;
    }
  | { readonly do: "delete"; readonly vm: number }
  | { readonly do: "move"; readonly vm: number; readonly host: string }
  | { readonly do: "renumber"; readonly vm: number; readonly address: number }
  | { readonly do: "ask"; readonly guest: number; readonly address: number }
  | { readonly do: "kill"; readonly host: string }
  | { readonly do: "kill controller" }
  | { readonly do: "tamper"; readonly host: string; readonly address: number; readonly how: number };

const kill: Step = { do: "kill controller" };
const someStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("create" as const),
      vm: someVm,
      host: someHost,
      address: someAddress,
      ownMac: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("delete" as const), vm: someVm }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("move" as const), vm: someVm, host: someHost }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("renumber" as const), vm: someVm, address: someAddress }) },
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant("ask" as const), guest: fc.nat(hosts.length - 1), address: someAddress }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("kill" as const), host: someHost }) },
  { weight: 1, arbitrary: fc.constant(kill) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("tamper" as const), host: someHost, address: someAddress, how: fc.nat(3) }),
  },
);
const someHistory = fc.array(someStep, { minLength: steps, maxLength: steps });

export const randomHistories: Fault = {
  name: "random histories of changes, queries, kills and foreign writes to the tables: no wrong entry after any",
  act: async (scene, { histories }) => {
    const seed = randomInt(2 ** 31);
    const held = await scene.held();
    const numbers = scene.numbersFrom(addresses + vms);
    let slowestMs = 0;
    let accepted = 0;
    for (const [i, history] of fc.sample(someHistory, { numRuns: histories, seed }).entries()) {
      try {
        for (const step of history) if (await carryOut(scene, step, numbers)) accepted++;
        await scene.allConnected();
        slowestMs = Math.max(slowestMs, await untilEqual(scene, held, equalWithinMs));
      } catch (error) {
        const what = error instanceof Error ? error.message : String(error);
        throw new Error(`history ${i} of seed ${seed}: ${what}; ${JSON.stringify(history)}`);
      }
    }
    return [
      `${histories} histories of ${steps} steps, seed ${seed}: ${accepted} changes accepted, slowest to be right ${slowestMs} ms`,
    ];
  },
  tidy: (scene) => scene.deleteVms("history-"),
};

/** @returns whether it was a change that the controller took */
async function carryOut(scene: Scene, step: Step, numbers: readonly number[]): Promise<boolean> {
  const numberOf = (address: number): number => numbers[address] ?? 0;
  switch (step.do) {
    case "create": {
      const n = numberOf(step.address);
      // The MAC of the address may belong to another VM; the VM's own MAC goes with any address.
      const mac = macOf(blue, step.ownMac ? numberOf(addresses + step.vm) : n);
      const interfaces = [{ network: "blue", mac, ips: ipsOf(n) }];
      return succeeded(await scene.api("POST", "/v1/vms", { name: `history-${step.vm}`, host: step.host, interfaces }));
    }
    case "delete":
      return succeeded(await scene.api("DELETE", `/v1/vms/history-${step.vm}`));
    case "move":
      return succeeded(await scene.api("PATCH", `/v1/vms/history-${step.vm}`, { host: step.host }));
    case "renumber": {
      const mac = macOf(blue, numberOf(addresses + step.vm));
      const interfaces = [{ network: "blue", mac, ips: ipsOf(numberOf(step.address)) }];
      return succeeded(await scene.api("PATCH", `/v1/vms/history-${step.vm}`, { interfaces }));
    }
    case "ask":
      await scene.ask(scene.guest(step.guest as 0 | 1 | 2), [ipsOf(numberOf(step.address))[0]]);
      break;
    case "kill":
      scene.host(step.host).agent.signal("SIGKILL");
      await scene.host(step.host).agent.ended;
      scene.startAgent(step.host);
      break;
    case "kill controller":
      scene.lab.controller.signal("SIGKILL");
      await scene.lab.controller.ended;
      await scene.startController();
      break;
    case "tamper":
      await tamper(scene, step.host, numberOf(step.address), step.how);
      break;
  }
  return false;
}

const succeeded = ({ status }: { readonly status: number }): boolean => status < 300;

/** Of an entry that may not be there: then there is nothing to do. */
async function tamper(scene: Scene, host: string, n: number, how: number): Promise<void> {
  const [device, mac, [ip]] = [`nmv${blue}`, macOf(blue, n), ipsOf(n)];
  const ways: readonly [string, ...string[]][] = [
    ["ip", "neigh", "del", ip, "dev", device],
    ["bridge", "fdb", "del", mac, "dev", device, "self"],
    ["bridge", "fdb", "del", mac, "dev", device, "master"],
    ["ip", "neigh", "change", ip, "lladdr", "52:54:b1:ff:ff:ff", "dev", device, "nud", "permanent"],
  ];
  const [command = ways[0]] = ways.slice(how % ways.length);
  try {
    if (command) await scene.host(host).exec(command);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
  }
}
