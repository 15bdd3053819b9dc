// Permitted senders of a host: the result of the frames that it receives equals the hosts that share its networks, for
// any operations, in one step or in many.
import fc from "fast-check";
import { expect, test } from "vitest";
import { writerFor } from "../../controller/agents/frames.ts";
import { HostTables, type TablePart, tableChanges } from "../../controller/agents/host-table.ts";
import { bindingChanges } from "../../controller/inventory/binding-changes.ts";
import { atOnce } from "../../controller/inventory/steps.ts";
import { HostTables as HeldTables } from "../../node-agent/tables/host-tables.ts";
import { parseRevision, parseVni, parseVtep } from "../../schema/address/index.ts";
import { type ControllerFrame, type FrameReader, parseControllerFrame } from "../../schema/agent/index.ts";
import { runs } from "../support/property-runs.ts";
import { Driven, furnished, someMutations } from "./inventory-model.ts";

const names = ["a", "b", "c"];

type SendersFrame = Extract<ControllerFrame, { type: "senders" }>;

/** As the wire of either version brings it to the host. */
function tell(senders: HeldTables, parts: readonly TablePart[], { host, protocol }: FrameReader): void {
  for (const part of parts) {
    const text = writerFor(protocol).table(parseRevision(1), part, host);
    const frame = text === undefined ? undefined : parseControllerFrame(text, { host, protocol });
    if (frame?.type === "senders") senders.take(frame);
    if (frame?.type === "hosts") senders.take(frame);
  }
}

test.each([1, 2])(
  "every host's set follows each revision, and equals that of a fresh session, in version %s",
  (protocol) =>
    fc.assert(
      fc.property(
        fc.array(someMutations, { maxLength: 40 }),
        fc.subarray(names, { minLength: 1 }),
        (steps, wanting) => {
          const world = new Driven();
          const sets = new Map(names.map((name) => [name, new HeldTables(name)]));
          for (const mutations of [furnished, ...steps]) {
            const changes = world.apply(mutations);
            if (!changes) continue;
            const concerned = atOnce(bindingChanges(world.state, changes));
            const wants = (host: string): boolean => wanting.includes(host);
            const frames = atOnce(tableChanges(world.state, concerned, wants));
            expect([...frames.keys()].filter((host) => !wants(host))).toEqual([]);
            for (const name of wanting) {
              const senders = sets.get(name) as HeldTables;
              tell(senders, frames.get(name) ?? [], { host: name, protocol });
              const networks = [...world.state.networksOn(name).keys()];
              const vnis = networks.flatMap((network) => world.state.findNetwork(network)?.vni ?? []);
              senders.keep(vnis);
              const truth = networks.map((network) => {
                const others = [...world.state.hostsIn(network).keys()].filter((host) => host !== name);
                const vteps = others.map((host) => world.state.findHost(host)?.vtep);
                return [world.state.findNetwork(network)?.vni, new Set(vteps)] as const;
              });
              expect(senders.vteps()).toEqual(new Map(truth as never));
              const fresh = new HeldTables(name);
              tell(fresh, new HostTables().of(world.state, world.revision, name), { host: name, protocol });
              expect(fresh.vteps()).toEqual(senders.vteps());
            }
          }
        },
      ),
      { numRuns: runs(300) },
    ),
);

test("a set that needs several frames takes effect when it is complete", () => {
  const frame = (whole: boolean, end: boolean, ...lasts: number[]): SendersFrame => ({
    type: "senders",
    asOf: parseRevision(1),
    vni: parseVni(100),
    whole,
    hosts: lasts.map((last) => ({ host: `h${last}`, vtep: parseVtep(`192.0.2.${last}`) })),
    end,
  });
  const senders = new HeldTables("a");
  const known = () => [...(senders.vteps().get(parseVni(100)) ?? [])];
  expect(senders.take(frame(true, true, 1, 2))).toBe(true);
  expect(senders.take(frame(true, false, 3))).toBe(false);
  expect(known()).toEqual(["192.0.2.1", "192.0.2.2"]);
  expect(senders.take(frame(false, true, 4))).toBe(true);
  expect(known()).toEqual(["192.0.2.3", "192.0.2.4"]);
});
