// No condition accuses what the inventory allows: over random legal histories, in which guests do what is registered, none of those about
// guests is found. The same histories provoke each of them, by guests that do something else.
import fc from "fast-check";
import { expect, test } from "vitest";
import { judgeCondition } from "../../controller/agents/judge-condition.ts";
import type { Inventory } from "../../controller/inventory/inventory.ts";
import { judgeClaim } from "../../node-agent/tables/address-claims.ts";
import { compareGuests, type GuestFinding, LastingFindings } from "../../node-agent/tables/local-guests.ts";
import type { GuestPort } from "../../node-agent/tables/port.ts";
import { familyOf, type IpAddress, type MacAddress, type Vni } from "../../schema/address/index.ts";
import type { ReportedCondition } from "../../schema/agent/index.ts";
import { exampleOf } from "../support/conditions.ts";
import { hasRareCases, runs } from "../support/property-runs.ts";
import { Driven, furnished, smallWorld, someChangeSets } from "./inventory-model.ts";

interface Nic {
  readonly vm: string;
  readonly vni: Vni;
  readonly network: string;
  readonly mac: MacAddress;
  readonly ips: readonly IpAddress[];
  readonly port?: string;
}

/** All interfaces of VMs that run on the host. @param arriving also of those that are being migrated there */
function nicsOn(state: Inventory, host: string, arriving: boolean): Nic[] {
  return state
    .listVms()
    .filter((vm) => vm.host === host || (arriving && vm.preparedHost === host))
    .flatMap((vm) =>
      vm.interfaces.flatMap(({ network, mac, ips, port, parent }) => {
        const vni = state.findNetwork(network)?.vni;
        const own = vm.host === host && parent === undefined ? port : undefined;
        return vni === undefined
          ? []
          : [{ vm: vm.name, vni, network, mac, ips, ...(own === undefined ? {} : { port: own }) }];
      }),
    );
}

const silentMs = 300_000;

/** One host's bridges, and the agent's view of them. It knows only its own guests: that is all that it can rely on. */
class Host {
  private readonly lasting = new LastingFindings();
  /** What each bridge remembers: MACs with the time of their last frame. */
  private readonly learned = new Map<Vni, Map<MacAddress, number>>();
  private readonly heard = new Map<Vni, Set<MacAddress>>();

  constructor(private readonly name: string) {}

  /** Guests send, as they are registered. */
  send(state: Inventory, nowMs: number, others: readonly { readonly vni: Vni; readonly mac: MacAddress }[] = []): void {
    for (const { vni, mac, port } of [...nicsOn(state, this.name, false), ...others] as Nic[]) {
      const macs = this.learned.get(vni) ?? new Map<MacAddress, number>();
      if (port === undefined) macs.set(mac, nowMs);
      else macs.delete(mac);
      this.learned.set(vni, macs);
    }
  }

  /** The conditions about guests that the agent reports, and that the controller lets stand. */
  conditions(state: Inventory, nowMs: number): string[] {
    const own = nicsOn(state, this.name, false);
    return smallWorld.vnis.flatMap((vni) => {
      const registered = own
        .filter((each) => each.vni === vni)
        .map(({ mac, port }) => ({ mac, ...(port ? { port } : {}) }));
      const macs = new Map([...(this.learned.get(vni) ?? [])].filter(([, atMs]) => nowMs - atMs < silentMs));
      this.learned.set(vni, macs);
      const heard = new Set([...(this.heard.get(vni) ?? []), ...macs.keys()]);
      this.heard.set(vni, new Set([...heard].filter((mac) => registered.some((each) => each.mac === mac))));
      const bridge: GuestPort = { ...port, learned: [...macs.keys()], heardAgoMs: ages(macs, nowMs) };
      const ports = [bridge, ...registered.flatMap((each) => (each.port ? [{ ...port, name: each.port }] : []))];
      const macsHere = new Set(registered.map(({ mac }) => mac));
      const prepared = nicsOn(state, this.name, true).filter((each) => each.vni === vni && !macsHere.has(each.mac));
      const seen = { vni, registered, prepared, ports, isRemote: () => false, placeOf: () => "free" as const };
      this.lasting.update(vni, compareGuests(seen as never, heard), nowMs);
      const found = this.lasting.list().filter((each) => each.vni === vni);
      return found.flatMap((finding) => {
        const judged = judgeCondition(state, this.name, factsOf(finding));
        return judged ? [`${judged.kind} ${finding.mac}`] : [];
      });
    });
  }
}

const port: GuestPort = {
  ifindex: 5,
  name: "vnet",
  carrier: true,
  learning: true,
  flood: true,
  pinned: [],
  learned: [],
};
const ages = (macs: ReadonlyMap<MacAddress, number>, nowMs: number) =>
  new Map([...macs].map(([mac, atMs]) => [mac, nowMs - atMs]));
const factsOf = ({ kind, reason, vni, mac, port: name = "vnet" }: GuestFinding): ReportedCondition => ({
  kind,
  reason,
  vni,
  values: { mac, port: name },
});

/** The condition of a guest that uses an address, as agent and controller find it. */
function claimed(state: Inventory, host: string, vni: Vni, mac: MacAddress, ip: IpAddress): string | undefined {
  const isLocal = nicsOn(state, host, false).some((each) => each.vni === vni && each.mac === mac);
  // What the agent has cached of others is any of these: the controller decides.
  const kinds = [judgeClaim({ vni, mac, ip }, undefined, isLocal), judgeClaim({ vni, mac, ip }, undefined, true)];
  const found = kinds.flatMap((claim) => {
    if (!claim) return [];
    return judgeCondition(state, host, { ...exampleOf(claim.kind, vni), values: { mac, ip } })?.kind ?? [];
  });
  return found[0];
}

const provoked = new Set<string>();
/** Families and UDP ports that hosts had. */
const ends = new Set<string>();

test("of guests that do what is registered there is none, and each is found of guests that do not", () => {
  fc.assert(
    fc.property(
      someChangeSets,
      fc.array(fc.integer({ min: 1_000, max: 90_000 }), { minLength: 26, maxLength: 26 }),
      (sets, pauses) => {
        const world = new Driven();
        world.apply(furnished);
        const hosts = smallWorld.hosts.map((name) => ({ name, host: new Host(name) }));
        let nowMs = 0;
        for (const [n, set] of [[], ...sets].entries()) {
          world.apply(set);
          // Guests send all the time; the agent looks every ten seconds, whatever happens in between.
          for (let leftMs = pauses[n % pauses.length] ?? 0; leftMs > 0; leftMs -= 2_000) {
            nowMs += Math.min(leftMs, 2_000);
            for (const { name, host } of hosts) {
              host.send(world.state, nowMs);
              expect([n, name, host.conditions(world.state, nowMs)]).toEqual([n, name, []]);
            }
          }
          for (const { name } of hosts) {
            const nics = nicsOn(world.state, name, true);
            for (const { vm, vni, mac } of nics) {
              // Before its migration is committed, too.
              const stranger = factsOf({ kind: "unregistered-guest", reason: "sends", vni, mac, detail: "" });
              expect(judgeCondition(world.state, name, stranger)).toBeUndefined();
              const sender = (host: string) =>
                judgeCondition(world.state, host, exampleOf("mac-conflict", vni, { mac }));
              expect(sender(name)).toBeUndefined();
              for (const other of smallWorld.hosts) if (sender(other)) provoked.add("mac-conflict");
              // Linux uses any address of the VM on any of its interfaces in the network.
              const allowed = nics.filter((each) => each.vm === vm && each.vni === vni).flatMap(({ ips }) => ips);
              for (const ip of allowed) expect([ip, claimed(world.state, name, vni, mac, ip)]).toEqual([ip, undefined]);
              for (const ip of smallWorld.ips)
                if (!allowed.includes(ip)) provoked.add(claimed(world.state, name, vni, mac, ip) ?? "");
            }
            for (const [vni, network] of smallWorld.vnis.map(
              (each) => [each, world.state.findNetworkByVni(each)] as const,
            )) {
              if (!network) continue;
              const mtu = (value: number) =>
                judgeCondition(world.state, name, exampleOf("mtu-too-large", vni, { mtu: String(value) }));
              expect(mtu(network.mtu + 1)).toBeUndefined();
              if (mtu(network.mtu)) provoked.add("mtu-too-large");
            }
            const registered = world.state.findHost(name);
            const missing = (vtep: string) => judgeCondition(world.state, name, exampleOf("vtep-missing", 1, { vtep }));
            // Of an address that it had before, too.
            for (const vtep of ["192.0.2.77", ...smallWorld.vteps])
              if (vtep !== registered?.vtep) expect([name, vtep, missing(vtep)]).toEqual([name, vtep, undefined]);
            if (registered && missing(registered.vtep)) provoked.add("vtep-missing");
            if (registered) ends.add(`${familyOf(registered.vtep)} ${registered.port}`);
          }
        }
        // A guest that is not registered, and one that never sends.
        const stranger = { vni: smallWorld.vnis[0] as Vni, mac: "52:54:00:00:00:77" as MacAddress };
        for (const { host } of hosts) {
          for (let n = 0; n < 5; n += 1) {
            nowMs += 2_000;
            host.send(world.state, nowMs, [stranger]);
            for (const kind of host.conditions(world.state, nowMs)) provoked.add(kind.split(" ")[0] ?? "");
          }
        }
        for (const { name } of hosts) {
          const silent = new Host(name);
          silent.conditions(world.state, nowMs);
          for (const kind of silent.conditions(world.state, nowMs + 60_000)) provoked.add(kind.split(" ")[0] ?? "");
        }
      },
    ),
    { numRuns: runs(60) },
  );
  if (!hasRareCases) return;
  const kinds = [
    "address-conflict",
    "address-unregistered",
    "guest-never-seen",
    "mac-conflict",
    "mtu-too-large",
    "unregistered-guest",
    "vtep-missing",
  ];
  expect([...provoked].filter((kind) => kind !== "").sort()).toEqual(kinds);
  expect([...ends].sort()).toEqual(["4 4789", "4 8472", "6 4789", "6 8472"]);
});
