// Permitted senders of a host: the result of the frames that it receives equals the hosts that share its networks, for
// any operations, in one step or in many.
import fc from "fast-check";
import { expect, test } from "vitest";
import { type SendersFrame, senderChanges, sendersOf } from "../../controller/agents/senders.ts";
import { bindingChanges } from "../../controller/inventory/binding-changes.ts";
import { atOnce } from "../../controller/inventory/steps.ts";
import { Senders } from "../../node-agent/guard/senders.ts";
import { parseRevision, parseVni, parseVtep } from "../../schema/address/index.ts";
import { parseControllerFrame } from "../../schema/agent/index.ts";
import { runs } from "../support/property-runs.ts";
import { Driven, furnished, someMutations } from "./inventory-model.ts";

const names = ["a", "b", "c"];

/** As the wire brings it. */
function tell(senders: Senders, frames: readonly SendersFrame[]): void {
  for (const frame of frames) {
    const parsed = parseControllerFrame(JSON.stringify(frame));
    expect(parsed).toEqual(frame);
    senders.take(frame);
  }
}

test("every host's set follows each revision, and equals that of a fresh session", () =>
  fc.assert(
    fc.property(fc.array(someMutations, { maxLength: 40 }), fc.subarray(names, { minLength: 1 }), (steps, wanting) => {
      const world = new Driven();
      const sets = new Map(names.map((name) => [name, new Senders()]));
      for (const mutations of [furnished, ...steps]) {
        const changes = world.apply(mutations);
        if (!changes) continue;
        const concerned = atOnce(bindingChanges(world.state, changes));
        const wants = (host: string): boolean => wanting.includes(host);
        const frames = atOnce(senderChanges(world.state, concerned, world.revision, wants));
        expect([...frames.keys()].filter((host) => !wants(host))).toEqual([]);
        for (const name of wanting) {
          const senders = sets.get(name) as Senders;
          tell(senders, frames.get(name) ?? []);
          const networks = [...world.state.networksOn(name).keys()];
          const vnis = networks.flatMap((network) => world.state.findNetwork(network)?.vni ?? []);
          senders.keep(vnis);
          const truth = networks.map((network) => {
            const others = [...world.state.hostsIn(network).keys()].filter((host) => host !== name);
            const vteps = others.map((host) => world.state.findHost(host)?.vtep);
            return [world.state.findNetwork(network)?.vni, new Set(vteps)] as const;
          });
          expect(senders.list()).toEqual(new Map(truth as never));
          const fresh = new Senders();
          tell(fresh, sendersOf(world.state, name, world.revision));
          expect(fresh.list()).toEqual(senders.list());
        }
      }
    }),
    { numRuns: runs(300) },
  ));

test("a set that needs several frames takes effect when it is complete", () => {
  const frame = (whole: boolean, end: boolean, ...lasts: number[]): SendersFrame => ({
    type: "senders",
    asOf: parseRevision(1),
    vni: parseVni(100),
    whole,
    hosts: lasts.map((last) => ({ host: `h${last}`, vtep: parseVtep(`192.0.2.${last}`) })),
    end,
  });
  const senders = new Senders();
  const known = () => [...(senders.list().get(parseVni(100)) ?? [])];
  expect(senders.take(frame(true, true, 1, 2))).toBe(true);
  expect(senders.take(frame(true, false, 3))).toBe(false);
  expect(known()).toEqual(["192.0.2.1", "192.0.2.2"]);
  expect(senders.take(frame(false, true, 4))).toBe(true);
  expect(known()).toEqual(["192.0.2.3", "192.0.2.4"]);
});
