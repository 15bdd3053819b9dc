// Random mutations of a small world, in which names and addresses collide often, and a reference model of the rules:
// written for being plainly right, not for being fast.
import fc from "fast-check";
import { CommittedInventory } from "../../controller/inventory/committed-inventory.ts";
import { decide, type Mutation } from "../../controller/inventory/decide.ts";
import type { Inventory } from "../../controller/inventory/inventory.ts";
import { Refusal } from "../../controller/inventory/refusal.ts";
import {
  familyOf,
  isLinkLocal,
  parseIp,
  parseMac,
  parseRevision,
  parseVni,
  parseVtep,
  type Revision,
  subnetContains,
} from "../../schema/address/index.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import { broadcastModes, knowledgeModes } from "../../schema/plain/index.ts";
import { parseHost, parseNetwork, parseVm, type Vm } from "../../schema/rest/index.ts";
import type { World } from "../support/inventory-contents.ts";

const networkName = fc.constantFrom("blue", "red");
const hostName = fc.constantFrom("a", "b", "c");
const vmName = fc.constantFrom("v1", "v2", "v3", "v4");

const someLabels = fc.dictionary(fc.constantFrom("tier", "team"), fc.constantFrom("", "x", "y"), { maxKeys: 2 });

const networkSpec = fc
  .record({
    name: networkName,
    vni: fc.constantFrom(100, 200),
    subnets: fc.constantFrom<string[]>(["10.0.0.0/29"], ["10.0.0.0/29", "fd00::/64"], ["10.0.0.0/28"]),
    mtu: fc.constantFrom(1400, 1450),
    knowledge: fc.constantFrom(...knowledgeModes),
    broadcast: fc.constantFrom(...broadcastModes),
    labels: someLabels,
  })
  .map(({ name, ...body }) => parseNetwork(name, body));

const someUdpPort = fc.constantFrom(4789, 8472);
const hostSpec = fc
  .record({
    name: hostName,
    vtep: fc.constantFrom("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "2001:db8::1", "2001:db8::2"),
    port: someUdpPort,
    origin: fc.constantFrom("operator" as const, "agent" as const),
  })
  .map(({ name, vtep, port, origin }) => parseHost(name, { vtep, port }, origin));

/** Mostly the VM's own addresses, so that most change sets are accepted; sometimes those of another. */
const someInterface = (n: number) =>
  fc.record(
    {
      network: networkName,
      mac: mostly(
        `52:54:00:00:00:0${n}`,
        fc.integer({ min: 1, max: 5 }).map((other) => `52:54:00:00:00:0${other}`),
      ),
      ips: fc.uniqueArray(
        mostly(`10.0.0.${n}`, fc.constantFrom("10.0.0.2", "10.0.0.3", "10.0.0.9", `fd00::${n}`, "fe80::1")),
        {
          maxLength: 2,
        },
      ),
      // Mostly its own: a port belongs to one interface on a host, beside those that name it as their parent.
      place: fc.oneof(
        fc.constant({ port: `tap${n}` }),
        fc.constantFrom({ port: "tap1" }, { port: "tap2" }),
        fc.constantFrom({ parent: "v1/eth0" }, { parent: "v2/eth0" }, { parent: "v2/eth1" }),
      ),
      router: fc.boolean(),
    },
    { requiredKeys: ["network", "mac", "ips"] },
  );

function mostly<T>(usual: T, other: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.oneof({ weight: 4, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: other });
}

const vmBody = vmName.chain((name) => {
  const n = Number(name.slice(1));
  const interfaces = fc.array(
    someInterface(n).map(({ place, ...each }) => defined({ ...each, ...place })),
    { minLength: 1, maxLength: 2 },
  );
  return fc.record({ name: fc.constant(name), host: hostName, interfaces, labels: someLabels });
});
const vmSpec = vmBody.map(({ name, ...body }) => parseVm(name, body));

/** `exactOptionalPropertyTypes`: absent, not undefined. */
function defined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as T;
}

const someMutation: fc.Arbitrary<Mutation> = fc.oneof(
  { weight: 2, arbitrary: networkSpec.map((spec): Mutation => ({ kind: "network.put", spec })) },
  { weight: 1, arbitrary: networkName.map((name): Mutation => ({ kind: "network.delete", name })) },
  {
    weight: 3,
    arbitrary: hostSpec.map(
      (spec): Mutation => (spec.origin === "agent" ? { kind: "host.register", spec } : { kind: "host.put", spec }),
    ),
  },
  { weight: 1, arbitrary: hostName.map((name): Mutation => ({ kind: "host.delete", name })) },
  { weight: 4, arbitrary: vmSpec.map((spec): Mutation => ({ kind: "vm.put", spec })) },
  { weight: 1, arbitrary: vmSpec.map((spec): Mutation => ({ kind: "vm.create", spec })) },
  {
    weight: 2,
    arbitrary: vmBody.map(
      ({ name, interfaces, labels }): Mutation => ({ kind: "vm.patch", name, patch: { interfaces, labels } }),
    ),
  },
  {
    weight: 3,
    arbitrary: fc
      .record({ name: vmName, host: hostName })
      .map(({ name, host }): Mutation => ({ kind: "vm.patch", name, patch: { host } })),
  },
  { weight: 2, arbitrary: vmName.map((name): Mutation => ({ kind: "vm.delete", name })) },
  {
    weight: 3,
    arbitrary: fc
      .record({ name: vmName, host: hostName })
      .map(({ name, host }): Mutation => ({ kind: "vm.prepare", name, host })),
  },
  { weight: 2, arbitrary: vmName.map((name): Mutation => ({ kind: "vm.commit", name })) },
  { weight: 1, arbitrary: vmName.map((name): Mutation => ({ kind: "vm.abort", name })) },
  {
    weight: 1,
    arbitrary: fc
      .record({ name: hostName, down: fc.boolean() })
      .map(({ name, down }): Mutation => ({ kind: "host.patch", name, patch: { down } })),
  },
  { weight: 1, arbitrary: hostName.map((name): Mutation => ({ kind: "host.delete", name, force: true })) },
  {
    weight: 1,
    arbitrary: fc
      .record({ name: hostName, to: fc.uniqueArray(hostName, { minLength: 1 }) })
      .map(({ name, to }): Mutation => ({ kind: "host.evacuate", name, to })),
  },
);

/** The start of most runs: without networks and hosts nearly every mutation is refused. */
export const furnished: readonly Mutation[] = [
  {
    kind: "network.put",
    spec: parseNetwork("blue", { vni: 100, subnets: ["10.0.0.0/29", "fd00::/64"], knowledge: "replicate" }),
  },
  { kind: "network.put", spec: parseNetwork("red", { vni: 200, subnets: ["10.0.0.0/29"] }) },
  { kind: "host.put", spec: parseHost("a", { vtep: "192.0.2.1" }, "operator") },
  { kind: "host.put", spec: parseHost("b", { vtep: "192.0.2.2" }, "operator") },
  { kind: "host.put", spec: parseHost("c", { vtep: "192.0.2.3" }, "operator") },
  ...["a", "b"].map((host, i): Mutation => {
    const interfaces = [{ network: "blue", mac: `52:54:00:00:00:0${i + 1}`, ips: [`10.0.0.${i + 1}`] }];
    return { kind: "vm.put", spec: parseVm(`v${i + 1}`, { host, interfaces }) };
  }),
];

/** All names and addresses of the mutations, and some that nothing has. */
export const smallWorld: World = {
  networks: ["blue", "red"],
  hosts: ["a", "b", "c"],
  vms: ["", "v1", "v2", "v3", "v4", "v5"],
  vnis: [100, 200].map(parseVni),
  vteps: ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "2001:db8::1", "2001:db8::2", "2001:db8::3"].map(
    parseVtep,
  ),
  ports: ["tap1", "tap2", "tap3", "tap4"],
  parents: ["v1/eth0", "v2/eth0", "v2/eth1"],
  macs: [1, 2, 3, 4, 5].map((n) => parseMac(`52:54:00:00:00:0${n}`)),
  ips: ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.9", "fd00::1", "fd00::4", "fe80::1"].map(parseIp),
  labels: [["tier"], ["tier", "x"], ["team", ""]],
};

/** Mostly single mutations, like those of REST: larger sets are refused more often. */
/** The tunnel ends of all hosts get another family or UDP port in one revision: one after the other is refused while networks span them. */
const readdressed: fc.Arbitrary<Mutation[]> = fc
  .record({ prefix: fc.constantFrom("192.0.2.", "2001:db8::"), port: someUdpPort })
  .map(({ prefix, port }) =>
    ["a", "b", "c"].map(
      (name, i): Mutation => ({
        kind: "host.put",
        spec: parseHost(name, { vtep: `${prefix}${i + 1}`, port }, "operator"),
      }),
    ),
  );

export const someMutations: fc.Arbitrary<Mutation[]> = fc.oneof(
  { weight: 12, arbitrary: someMutation.map((mutation) => [mutation]) },
  { weight: 1, arbitrary: readdressed },
  { weight: 4, arbitrary: fc.array(someMutation, { minLength: 2, maxLength: 3 }) },
);

export const someChangeSets = fc.array(someMutations, { size: "max", maxLength: 25 });

const importable = new Set(["network.put", "network.delete", "host.put", "host.delete", "vm.put", "vm.delete"]);

/** As lines of an import: each name once, and a deletion of what is not there is no fault. */
export function asLines(sets: readonly (readonly Mutation[])[]): Mutation[] {
  const seen = new Set<string>();
  return sets.flat().flatMap((mutation) => {
    const name = "spec" in mutation ? mutation.spec.name : mutation.name;
    const subject = `${mutation.kind.split(".")[0]} ${name}`;
    if (!importable.has(mutation.kind) || "force" in mutation || seen.has(subject)) return [];
    seen.add(subject);
    return [mutation.kind.endsWith(".delete") ? ({ ...mutation, ifPresent: true } as Mutation) : mutation];
  });
}

/** An inventory that is driven as the committer drives it. */
export class Driven {
  readonly state = new CommittedInventory();
  revision = parseRevision(0);

  /** @returns undefined where it is refused, or changes nothing */
  apply(mutations: readonly Mutation[]): readonly ResourceChange[] | undefined {
    const revision = (this.revision + 1) as Revision;
    try {
      const { changes } = decide(this.state, mutations, { revision, newUid: () => `uid-${revision}` });
      if (changes.length === 0) return undefined;
      this.state.apply(changes);
      this.revision = revision;
      return changes;
    } catch (error) {
      if (error instanceof Refusal) return undefined;
      throw error;
    }
  }
}

const placesOf = ({ host, preparedHost = host }: Vm) => [host, preparedHost];

/** Every breach of the data model's rules, found by looking at everything. */
export function breaches(state: Inventory): string[] {
  const found: string[] = [];
  const [networks, hosts, vms] = [state.listNetworks(), state.listHosts(), state.listVms()];
  const unique = (what: string, values: readonly (string | number)[]) => {
    if (new Set(values).size !== values.length) found.push(`${what} twice: ${values.join(", ")}`);
  };
  unique(
    "VNI",
    networks.map(({ vni }) => vni),
  );
  unique(
    "VTEP",
    hosts.map(({ vtep, port }) => `${vtep} ${port}`),
  );
  for (const vm of vms) {
    for (const host of placesOf(vm)) {
      if (!hosts.some(({ name }) => name === host)) found.push(`${vm.name}: no host ${host}`);
    }
    if (vm.preparedHost === vm.host) found.push(`${vm.name} is prepared where it is`);
  }
  const attached = vms.flatMap((vm) => vm.interfaces.map((each) => ({ vm, ...each })));
  for (const { vm, network } of attached) {
    if (!networks.some(({ name }) => name === network)) found.push(`${vm.name}: no network ${network}`);
  }
  unique(
    "port of a host",
    attached.flatMap(({ vm, port }) =>
      port === undefined ? [] : [...new Set(placesOf(vm))].map((host) => `${host} ${port}`),
    ),
  );
  for (const child of attached) {
    if (child.parent === undefined) continue;
    const parent = attached.find(({ vm, name }) => `${vm.name}/${name}` === child.parent);
    const isFit =
      parent?.port !== undefined &&
      parent.network === child.network &&
      placesOf(child.vm).every((host) => placesOf(parent.vm).includes(host));
    if (!isFit) found.push(`${child.vm.name} is nested in ${child.parent}, which is not fit for it`);
  }
  for (const network of networks) {
    const inside = attached.filter((each) => each.network === network.name);
    unique(
      `MAC in ${network.name}`,
      inside.map(({ mac }) => mac),
    );
    unique(
      `IP in ${network.name}`,
      inside.flatMap(({ ips }) => ips),
    );
    for (const ip of inside.flatMap(({ ips }) => ips)) {
      const fits = isLinkLocal(ip) || network.subnets.some((subnet) => subnetContains(subnet, ip));
      if (!fits) found.push(`${ip} is outside ${network.name}`);
    }
    const families = inside.flatMap(({ vm }) =>
      hosts.filter(({ name }) => placesOf(vm).includes(name)).map(({ vtep }) => familyOf(vtep)),
    );
    if (new Set(families).size > 1) found.push(`${network.name} mixes underlays`);
  }
  return found;
}
