// Where broadcasts go: whatever operators change, each host's destinations are the other hosts of its networks with broadcast replicate,
// by what its controller sends it; changed step by step they are what a fresh session makes of it.
import fc from "fast-check";
import { expect, test } from "vitest";
import { writerFor } from "../../controller/agents/frames.ts";
import {
  HostTables as ControllerTables,
  type TablePart,
  tableChanges,
  tablesWanted,
} from "../../controller/agents/host-table.ts";
import { bindingChanges } from "../../controller/inventory/binding-changes.ts";
import { agentNetwork } from "../../controller/inventory/bindings.ts";
import { atOnce } from "../../controller/inventory/steps.ts";
import { Broadcasts } from "../../node-agent/networks/broadcasts.ts";
import { RegisteredNetworks } from "../../node-agent/networks/registered-networks.ts";
import { entryKey } from "../../node-agent/tables/entry.ts";
import { GroupTables } from "../../node-agent/tables/group-tables.ts";
import { HostTables } from "../../node-agent/tables/host-tables.ts";
import { parseRevision } from "../../schema/address/index.ts";
import { parseControllerFrame } from "../../schema/agent/index.ts";
import { vni } from "../support/addresses.ts";
import { FakeTables } from "../support/fake-tables.ts";
import { runs } from "../support/property-runs.ts";
import { Driven, furnished, someMutations } from "./inventory-model.ts";

const names = ["a", "b", "c"];
const vnis = [100, 200].map(vni);

class AgentHost {
  readonly registered = new RegisteredNetworks();
  readonly hostTables: HostTables;
  readonly tables = new FakeTables(new Set(vnis));
  readonly broadcasts: Broadcasts;

  constructor(readonly name: string) {
    this.hostTables = new HostTables(name);
    this.broadcasts = new Broadcasts({
      registered: this.registered,
      hostTables: this.hostTables,
      groupTables: new GroupTables(),
      devices: { adoptedFor: () => undefined },
      copiesPerSecond: 100,
      write: (operations) => this.tables.apply(operations),
      look: () => {},
      nowMs: () => 0,
    });
  }

  hear(parts: readonly TablePart[]): void {
    for (const part of parts) {
      const text = writerFor(2).table(parseRevision(1), part, this.name);
      const frame = text === undefined ? undefined : parseControllerFrame(text, { host: this.name, protocol: 2 });
      if (frame?.type === "hosts") this.hostTables.take(frame);
    }
  }

  /** As the snapshot or the changes of the revision say it. */
  async follow({ state }: Driven): Promise<void> {
    const networks = [...state.networksOn(this.name).keys()].flatMap((name) => state.findNetwork(name) ?? []);
    const self = state.findHost(this.name);
    this.registered.registeredEnd = self && { vtep: self.vtep, vtepPort: self.port };
    this.registered.replace(networks.map(agentNetwork), "epoch");
    this.hostTables.keep(networks.map((network) => network.vni));
    await this.broadcasts.rulesLoaded(vnis.map((each) => `nmv${each}`));
  }

  get destinations(): string[] {
    return vnis.flatMap((each) => this.tables.present(each).map(({ entry }) => entryKey(entry))).sort();
  }
}

/** From the inventory alone. */
function truth({ state }: Driven, name: string): string[] {
  const own = state.findHost(name);
  return [...state.networksOn(name).keys()]
    .flatMap((network) => state.findNetwork(network) ?? [])
    .filter(({ broadcast }) => broadcast === "replicate")
    .flatMap((network) => {
      const others = [...state.hostsIn(network.name).keys()].filter((host) => host !== name);
      return others.flatMap((host) => {
        const { vtep, port } = state.findHost(host) ?? {};
        return vtep === own?.vtep && port === own?.port ? [] : [`broadcast ${network.vni} ${vtep}:${port}`];
      });
    })
    .sort();
}

test("every host's destinations follow each revision, and hosts that do not copy are sent no table", () =>
  fc.assert(
    fc.asyncProperty(fc.array(someMutations, { maxLength: 40 }), async (steps) => {
      const world = new Driven();
      const hosts = names.map((name) => new AgentHost(name));
      const wanted = tablesWanted({ broadcasts: true });
      for (const mutations of [furnished, ...steps]) {
        const changes = world.apply(mutations);
        if (!changes) continue;
        const concerned = atOnce(bindingChanges(world.state, changes));
        const frames = atOnce(tableChanges(world.state, concerned, (_, network) => wanted(network)));
        for (const parts of frames.values())
          for (const part of parts) expect(world.state.findNetworkByVni(part.vni)?.broadcast).toBe("replicate");
        for (const host of hosts) {
          host.hear(frames.get(host.name) ?? []);
          await host.follow(world);
          expect(host.destinations).toEqual(truth(world, host.name));
          const fresh = new AgentHost(host.name);
          fresh.hear(
            new ControllerTables().of(world.state, world.revision, host.name, (_, network) => wanted(network)),
          );
          await fresh.follow(world);
          expect(fresh.destinations).toEqual(host.destinations);
        }
      }
    }),
    { numRuns: runs(200) },
  ));
